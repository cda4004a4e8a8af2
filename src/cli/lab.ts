import { constants } from 'node:os';
import { Command, Option } from 'commander';
import type { Flag } from '#config/flags.ts';
import { createLab, DEFAULT_LAB } from '#lab/create-lab.ts';
import { type DemoResult, runDemo } from '#lab/demo/demo.ts';
import type { SocketScope } from '#lab/demo/paths.ts';
import { DemoPrinter } from '#lab/demo/print.ts';
import { openLab } from '#lab/lab.ts';
import { labExists, removeLab } from '#lab/removal.ts';
import { flagOption } from './flag-options.ts';
import { hintsText, topologyText } from './lab-text.ts';

interface NameOption {
  readonly name: string;
}

interface OutputOption {
  readonly output: 'table' | 'json';
}

/** `weir lab`. `exec` exits with the code of its command, or 128 + signal number; an interrupted `up` or `demo` exits with 130. */
export function labCommand(): Command {
  return new Command('lab')
    .description('run a cluster on this machine, with network namespaces for nodes, pods and an outside client')
    .enablePositionalOptions()
    .addCommand(up())
    .addCommand(down())
    .addCommand(exec())
    .addCommand(demo());
}

const nameOption = (): Option => new Option('--name <name>', 'name of the lab; several labs can coexist').default(DEFAULT_LAB);
const outputOption = (): Option => new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table');

type UpOptions = NameOption & OutputOption & { readonly serviceCidr?: string; readonly agentFlag: string[]; readonly agents: boolean };

const SERVICE_CIDR: Flag = {
  flags: '--service-cidr <ranges>',
  help: 'ranges of ClusterIPs (default: computed from the ClusterIPs of the Services)',
  repeatable: true,
};

function up(): Command {
  return new Command('up')
    .description('build the cluster that Kubernetes objects describe, with an agent on every node')
    .argument('<file...>', 'output of `kubectl get nodes,services,endpointslices -A -o yaml`, or other manifests')
    .addOption(nameOption())
    .addOption(outputOption())
    .addOption(flagOption(SERVICE_CIDR))
    .option('--agent-flag <flag>', 'flag of every agent, such as --agent-flag=--socket-scope=host; can be repeated', collect, [])
    .option('--no-agents', 'build the lab without agents')
    .action((files: string[], { name, output, serviceCidr, agentFlag, agents }: UpOptions) =>
      untilInterrupted(name, async (signal) => {
        const lab = await createLab({ name, files, agents, agentFlags: agentFlag, signal, ...(serviceCidr && { serviceCidr }) });
        if (output === 'json') print(JSON.stringify(lab.topology, null, 2));
        else print(`${topologyText(lab.topology)}\n\n${hintsText(lab.topology)}`);
      }),
    );
}

const collect = (value: string, all: readonly string[]): string[] => [...all, value];

function down(): Command {
  return new Command('down')
    .description('remove a lab, including an incomplete one')
    .addOption(nameOption())
    .action(async ({ name }: NameOption) => {
      if (!labExists(name)) return print(`There is no lab "${name}"`);
      const { namespaces, processes } = await removeLab(name);
      print(`Removed lab "${name}": ${namespaces} namespaces, ${processes} processes`);
    });
}

function exec(): Command {
  return new Command('exec')
    .description('run a command on a node, in a pod or outside: in the network namespace and cgroup of that place')
    .argument('<place>', 'node, pod (with or without its namespace), or "outside"')
    .argument('<command...>', 'command with its arguments')
    .addOption(nameOption())
    .passThroughOptions()
    .action(async (place: string, command: string[], { name }: NameOption) => {
      const child = openLab(name).spawn(place, command, { stdio: 'inherit' });
      // The terminal sends its signals to the child too; this process ends with the child.
      const ignore = () => {};
      process.on('SIGINT', ignore).on('SIGQUIT', ignore);
      process.on('SIGTERM', () => child.kill('SIGTERM'));
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      child.on('error', reject);
      child.on('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
      process.exitCode = await promise;
    });
}

type DemoFlags = NameOption & OutputOption & { readonly keep?: boolean; readonly socketScope: SocketScope };

function demo(): Command {
  return new Command('demo')
    .description('build the sample cluster, try every path, print the expected and the actual results')
    .addOption(nameOption().default('demo'))
    .addOption(outputOption())
    .addOption(new Option('--socket-scope <scope>', '--socket-scope of the agents').choices(['all', 'host']).default('all'))
    .option('--keep', 'keep the lab')
    .action(({ name, output, keep, socketScope }: DemoFlags) =>
      untilInterrupted(name, async (signal) => {
        const printer = output === 'table' ? new DemoPrinter(process.stdout) : undefined;
        const result = await runDemo({ name, socketScope, signal, onLine: (line) => printer?.row(line) });
        if (keep) result.lab.close();
        else await result.lab.down();
        finishDemo(result, printer, keep === true);
      }),
    );
}

function finishDemo({ lab, lines, conntrackEntry }: DemoResult, printer: DemoPrinter | undefined, keep: boolean): void {
  const wrong = lines.filter((line) => !line.right || line.late).length;
  process.exitCode = wrong === 0 ? 0 : 1;
  const verdict = wrong === 0 ? 'all as expected' : `${wrong} WRONG`;
  print(printer ? `\n  ${conntrackEntry}\n\n${lines.length} lines, ${verdict}` : JSON.stringify({ lines, conntrackEntry }, null, 2));
  if (printer && keep) print(`\n${hintsText(lab.topology)}`);
}

/** Ctrl-C, a service manager, a closed terminal. A closed stdout (`| head`) interrupts too. */
const INTERRUPTIONS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs `work`; an interruption aborts its signal, so that it cleans up and ends. */
async function untilInterrupted(lab: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  for (const signal of INTERRUPTIONS) process.on(signal, interrupt);
  process.stdout.on('error', interrupt);
  try {
    await work(interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted || labExists(lab)) throw error;
    process.stderr.write('Interrupted: the lab is removed\n');
    process.exitCode = 128 + constants.signals.SIGINT;
  } finally {
    for (const signal of INTERRUPTIONS) process.off(signal, interrupt);
  }
}

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
