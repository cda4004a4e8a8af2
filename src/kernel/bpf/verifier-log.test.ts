import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainLoadFailure } from './verifier-log.ts';

/** As libbpf 1.1 prints it, in three pieces. */
const REFUSED = [
  "libbpf: prog 'weir_connect4': BPF program load failed: Permission denied\n",
  `libbpf: prog 'weir_connect4': -- BEGIN PROG LOAD LOG --
0: R1=ctx(off=0,imm=0) R10=fp0
; int weir_connect4(struct bpf_sock_addr *ctx)
0: (79) r1 = *(u64 *)(r1 +96)         ; R1_w=scalar()
1: (61) r0 = *(u32 *)(r1 +0)
R1 invalid mem access 'scalar'
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
`,
  "libbpf: failed to load program 'weir_connect4'\n",
];

test('a refused program is named, with what the verifier said and without registers', () => {
  assert.equal(
    explainLoadFailure('socket.bpf.o', 'permission denied (EACCES)', REFUSED),
    `Cannot load program "weir_connect4" of socket.bpf.o: permission denied (EACCES)
  ; int weir_connect4(struct bpf_sock_addr *ctx)
  0: (79) r1 = *(u64 *)(r1 +96)
  1: (61) r0 = *(u32 *)(r1 +0)
  R1 invalid mem access 'scalar'`,
  );
});

test('of a long log the last twenty lines are kept', () => {
  const log = Array.from({ length: 500 }, (_, i) => `${i}: (b7) r0 = ${i}`).join('\n');
  const text = explainLoadFailure('x.o', 'no', [`-- BEGIN PROG LOAD LOG --\n${log}\n-- END PROG LOAD LOG --\n`]);
  assert.deepEqual(
    text.split('\n').slice(1),
    Array.from({ length: 20 }, (_, i) => `  ${480 + i}: (b7) r0 = ${480 + i}`),
  );
});

test('a missing kernel function is a hint', () => {
  const said = "libbpf: extern (func ksym) 'bpf_ct_set_nat_info': not found in kernel or module BTFs\n";
  const [first] = explainLoadFailure('kfuncs.bpf.o', 'invalid argument (EINVAL)', [said]).split('\n');
  assert.equal(
    first,
    'Cannot load kfuncs.bpf.o: invalid argument (EINVAL); the kernel has no function bpf_ct_set_nat_info: it needs Linux 6.1 or later with nf_conntrack and nf_nat loaded and BTF of these modules, which CAP_SYS_ADMIN is needed to see',
  );
});

test('a failure without a word is still an error with its reason', () => {
  assert.equal(explainLoadFailure('x.o', 'out of memory (ENOMEM)', []), 'Cannot load x.o: out of memory (ENOMEM)');
});
