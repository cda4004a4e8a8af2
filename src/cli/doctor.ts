import { hostname } from 'node:os';
import { Command, Option } from 'commander';
import { DEFAULT_STATE_DIR, type Flag, SOURCE_FLAGS } from '#config/flags.ts';
import { readSettings } from '#config/read-settings.ts';
import { readSource } from '#config/read-source.ts';
import { type Finding, type FindingStatus, probe } from '#kernel/doctor/probes.ts';
import { findCgroupRoot } from '#kernel/node/mounts.ts';
import { flagOption, givenFlags, refuse } from './flag-options.ts';

const MARKS: Readonly<Record<FindingStatus, string>> = { fine: 'fine    ', degraded: 'DEGRADED', missing: 'MISSING ' };

/** One line per finding; the line of a problem also has its consequence and remedy. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.map(({ name, status, detail, consequence, remedy }) => {
    const trouble = status === 'fine' ? '' : `. ${consequence}. To do: ${remedy}`;
    return `${MARKS[status]}  ${name.padEnd(width)}  ${detail}${trouble}`;
  });
  const count = (status: FindingStatus): number => findings.filter((finding) => finding.status === status).length;
  return [...lines, '', `${count('fine')} fine, ${count('degraded')} degraded, ${count('missing')} missing`].join('\n');
}

/** Flags of a KPNG server to check in addition; two have another meaning for the agent. */
const PEER_FLAGS: readonly Flag[] = [
  { flags: '--source <kind>', help: 'kpng=ADDRESS: check this KPNG server, too' },
  { flags: '--node-name <name>', help: 'node to ask the KPNG server for (default: the host name)' },
  ...SOURCE_FLAGS.filter(({ flags }) => flags.startsWith('--tls-')),
];

/** `weir doctor`. Exit code 1: a requirement of weir is missing. */
export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('check whether this kernel and node meet the requirements of weir; show the consequence and remedy of each problem')
    .option('--cgroup-root <folder>', 'cgroup v2 folder that contains every process of this node (default: the cgroup v2 mount)')
    .option('--state-dir <folder>', 'bpffs folder for pins', DEFAULT_STATE_DIR)
    .addOption(new Option('-o, --output <format>', 'output format').choices(['table', 'json']).default('table'));
  for (const flag of PEER_FLAGS) command.addOption(flagOption(flag));
  return command
    .addHelpText(
      'after',
      '\nWith --source kpng=ADDRESS the command also lists the rules of Services that the server does not deliver. Exit code 1: a requirement is missing.',
    )
    .action(examine);
}

interface Asked {
  readonly cgroupRoot?: string;
  readonly stateDir: string;
  readonly output: 'table' | 'json';
  readonly nodeName?: string;
}

async function examine({ cgroupRoot, stateDir, output, nodeName }: Asked, command: Command): Promise<void> {
  const read = readSettings(givenFlags(command));
  const source = read.text('source') === undefined ? undefined : readSource(read, []);
  if (read.errors.length > 0) return refuse(command, read.errors);
  const findings = [...probe({ cgroupRoot: cgroupRoot ?? findCgroupRoot(), stateDir })];
  if (source?.type === 'kpng') {
    const { probePeer } = await import('./doctor-kpng.ts');
    findings.push(...(await probePeer(source, (nodeName ?? hostname()).toLowerCase())));
  }
  process.stdout.write(`${output === 'json' ? JSON.stringify(findings, null, 2) : formatFindings(findings)}\n`);
  if (findings.some(({ status }) => status === 'missing')) process.exitCode = 1;
}
