import { Command, Option } from 'commander';
import { DEFAULT_STATE_DIR } from '#config/flags.ts';
import { findCgroupRoot } from '#kernel/mounts.ts';
import { type Finding, type FindingStatus, probe } from '#kernel/probes.ts';

const MARKS: Readonly<Record<FindingStatus, string>> = { fine: 'fine    ', degraded: 'DEGRADED', missing: 'MISSING ' };

/** One line for each finding; where something is wrong, what follows and what to do are on the same line. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.map(({ name, status, detail, consequence, remedy }) => {
    const trouble = status === 'fine' ? '' : `. ${consequence}. To do: ${remedy}`;
    return `${MARKS[status]}  ${name.padEnd(width)}  ${detail}${trouble}`;
  });
  const count = (status: FindingStatus): number => findings.filter((finding) => finding.status === status).length;
  return [...lines, '', `${count('fine')} fine, ${count('degraded')} degraded, ${count('missing')} missing`].join('\n');
}

/** `weir doctor`. Exit code 1: something without which weir cannot work is missing. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('look at this kernel and node: what weir needs, what is there, what follows, what to do')
    .option('--cgroup-root <dir>', 'cgroup v2 folder with every process of this node (default: the cgroup v2 mount)')
    .option('--state-dir <dir>', 'bpffs folder for pins', DEFAULT_STATE_DIR)
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table'))
    .action(({ cgroupRoot, stateDir, output }: { cgroupRoot?: string; stateDir: string; output: 'table' | 'json' }) => {
      const findings = probe({ cgroupRoot: cgroupRoot ?? findCgroupRoot(), stateDir });
      process.stdout.write(`${output === 'json' ? JSON.stringify(findings, null, 2) : formatFindings(findings)}\n`);
      if (findings.some(({ status }) => status === 'missing')) process.exitCode = 1;
    });
}
