const LAST_LINES = 20;

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /extern \(func ksym\) '(\w+)': not found/,
    'the kernel has no function $1: it needs Linux 6.1 or later with nf_conntrack and nf_nat loaded and BTF of these modules, which CAP_SYS_ADMIN is needed to see',
  ],
  [
    /calling kernel function (\w+) is not allowed|kernel function (\w+)/,
    'this kernel lets no such program call $1$2: it needs Linux 6.1 or later',
  ],
  [/unknown func|invalid func unknown/, 'a helper is missing: the kernel is older than 6.1'],
  [
    /BPF program is too large|too many instructions|sequence of \d+ jumps is too complex/,
    "the program exceeds this kernel's verifier limits",
  ],
  [/failed to find valid kernel BTF|kernel BTF is missing/, 'the kernel has no BTF: it needs CONFIG_DEBUG_INFO_BTF'],
];

/**
 * Why an object did not load, for people: the program's name, the end of the verifier's log without its register dumps, and
 * what to do. `warnings` are libbpf's own lines.
 */
export function explainLoadFailure(object: string, reason: string, warnings: readonly string[]): string {
  const text = warnings.join('');
  const program = /prog '(\w+)': BPF program load failed/.exec(text)?.[1];
  const what = program === undefined ? `Cannot load ${object}` : `Cannot load program "${program}" of ${object}`;
  const hint = hintFor(text);
  return [`${what}: ${reason}${hint === undefined ? '' : `; ${hint}`}`, ...evidence(text)].join('\n');
}

function hintFor(text: string): string | undefined {
  for (const [pattern, hint] of HINTS) {
    const found = pattern.exec(text);
    if (found) return hint.replaceAll(/\$(\d)/g, (_, group: string) => found[Number(group)] ?? '');
  }
  return undefined;
}

/** The last meaningful lines of the verifier's log, or of libbpf's messages if there is none. */
function evidence(text: string): string[] {
  const log = /-- BEGIN PROG LOAD LOG --\n([\s\S]*?)-- END PROG LOAD LOG --/.exec(text)?.[1] ?? text;
  return log
    .split('\n')
    .map((line) => withoutState(line).trimEnd())
    .filter((line) => line !== '' && !isNoise(line))
    .slice(-LAST_LINES)
    .map((line) => `  ${line}`);
}

/** `12: (85) call x#1    ; R0_w=... R1=...` without the registers. */
const withoutState = (line: string): string => line.replace(/^(\d+: \([0-9a-f]{2}\) .*?)\s*; (frame\d+: )?[Rf][\w]*=.*$/, '$1');

/** Register dumps, and the statistics at the end. */
const isNoise = (line: string): boolean =>
  /^(\d+: )?(frame\d+: ?)?R\d+(_\w+)?=/.test(line) ||
  /^(from \d+ to \d+|last_idx|regs=|mark_precise|parent|verification time|stack depth|processed \d+ insns)/.test(line);
