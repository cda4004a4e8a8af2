import { type Command as CommandType, Command, Option } from 'commander';
import { createLab, DEFAULT_LAB } from '#lab/create-lab.ts';
import { runDemo } from '#lab/demo/demo.ts';
import type { SocketScope } from '#lab/demo/paths.ts';
import { DemoPrinter } from '#lab/demo/print.ts';
import { type Lab, openLab } from '#lab/lab.ts';
import { bpffsDir, manifestsDir } from '#lab/paths.ts';
import { labExists, removeLab } from '#lab/removal.ts';
import type { Topology } from '#lab/topology.ts';
import { formatTable } from './format.ts';

const INTERRUPTED = 130;

interface NameOption {
  readonly name: string;
}

/** `weir lab`. A command that `exec` runs gives its own exit code. */
export function labCommand(): Command {
  return new Command('lab')
    .description('a cluster on this machine, made of network namespaces')
    .enablePositionalOptions()
    .addCommand(up())
    .addCommand(down())
    .addCommand(exec())
    .addCommand(demo());
}
