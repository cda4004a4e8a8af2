import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADDRESS_CLUSTER_IP, OUTCOME_PACKET_REFUSED_UNKNOWN_PORT } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import { addVeth, openForTest, run, scratchNetns, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { CStruct, checked } from '../ffi/ffi.ts';
import { closing } from '../ffi/libc.ts';
import { inNetns } from '../node/netns.ts';
import { BPF_TCX_INGRESS } from './device-links.ts';
import { libbpf } from './libbpf.ts';

const CLUSTER_IP = '10.96.0.1' as Address;
const BPF_PROG_TYPE_SCHED_CLS = 3;

/** A program that answers TCX_PASS, as the first on a device; its link, or -errno where the kernel has no tcx. */
function letEverythingPass(ifindex: number): number {
  const returnZero = Buffer.from('b700000000000000' + '9500000000000000', 'hex');
  const options = CStruct.sized(16).bytes;
  const program = checked(libbpf.bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, 'passing', 'GPL', returnZero, 2, options), 'load a program');
  return closing(program, () => libbpf.bpf_link_create(program, ifindex, BPF_TCX_INGRESS, null));
}

test("a packet that another program passes on reaches weir's program", skipIf(whyNoDatapath()), (t) => {
  const [node, outside] = [scratchNetns(t), scratchNetns(t)];
  const ifindex = addVeth(node, 'inside', 'wire');
  const mac = inNetns(node, () => {
    run('ip', 'link', 'set', 'dev', 'wire', 'netns', outside.slice('/run/netns/'.length));
    run('ip', 'link', 'set', 'inside', 'up');
    return /ether (\S+)/.exec(run('ip', 'link', 'show', 'inside'))?.[1];
  });
  inNetns(outside, () => {
    run('ip', 'link', 'set', 'wire', 'up');
    run('ip', 'address', 'add', '10.0.0.2/24', 'dev', 'wire');
    run('ip', 'neighbour', 'add', '10.0.0.1', 'lladdr', String(mac), 'dev', 'wire');
    run('ip', 'route', 'add', 'default', 'via', '10.0.0.1');
  });
  const other = inNetns(node, () => letEverythingPass(ifindex));
  if (other < 0) return t.skip('this kernel has no tcx');
  closing(other, () => {
    const { tables, attachDevice } = openForTest(t);
    tables.put('addresses', [{ key: { address: CLUSTER_IP }, value: { flags: ADDRESS_CLUSTER_IP } }]);
    inNetns(node, () => attachDevice(ifindex, 'own'));
    inNetns(outside, () => run('bash', '-c', `echo > /dev/udp/${CLUSTER_IP}/53`));
    assert.deepEqual(tables.dump('counters'), [{ key: { value: OUTCOME_PACKET_REFUSED_UNKNOWN_PORT }, value: { count: 1n } }]);
  });
});
