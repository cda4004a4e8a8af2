/** Other software on a node: programs ahead of weir's, and forward chains that drop; and an agent that is away while devices come. */
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { before, test } from 'node:test';
import { BPF_TCX_INGRESS } from '#kernel/bpf/device-links.ts';
import { libbpf } from '#kernel/bpf/libbpf.ts';
import { CStruct } from '#kernel/ffi/ffi.ts';
import { listLinks } from '#kernel/netlink/links.ts';
import { inNetns } from '#kernel/node/netns.ts';
import { clientsOf, near } from './clients.ts';
import { netns, raise, routeServicesBy, stateDir } from './ground.ts';
import { AWAY, clusterIP, nodeAddress, nodePort, numbered, slices } from './objects.ts';
import { answer, assertPaths, tcp, until } from './paths.ts';

const lab = await raise('nb', {
  pods: [AWAY],
  objects: [numbered('web', 1), ...slices({ of: 'web', pods: [AWAY] })],
  agentFlags: ['--socket-scope', 'host'],
});
const { start, addVeth, assertServed, assertAll } = clientsOf(lab);

before(() => {
  for (const family of [4, 6] as const) routeServicesBy(lab, nodeAddress('n1', family));
});

/** The detail of a finding of `weir doctor` on n1. */
async function detailOf(name: string): Promise<string | undefined> {
  const { stdout } = await lab.exec('n1', ['bin/weir', 'doctor', ...stateDir(lab, 'n1'), '-o', 'json']);
  return (JSON.parse(stdout) as { name: string; detail: string }[]).find((finding) => finding.name === name)?.detail;
}

/** `return TCX_PASS`, before all other programs at tc ingress of a device of n1; undefined: the kernel has no tcx. */
function attachGuard(device: string): { detach(): void } | undefined {
  const instructions = Buffer.from('b700000000000000' + '9500000000000000', 'hex');
  return inNetns(`/run/netns/${netns(lab, 'n1')}`, () => {
    const ifindex = listLinks().find(({ name }) => name === device)?.ifindex ?? 0;
    const program = libbpf.bpf_prog_load(3, 'guard', 'GPL', instructions, 2, null);
    const link = libbpf.bpf_link_create(program, ifindex, BPF_TCX_INGRESS, CStruct.sized(16).u32(8, 8).bytes);
    closeSync(program);
    return link < 0 ? undefined : { detach: () => closeSync(link) };
  });
}

test('a program ahead that ends the chain takes the Services away, and the agent and the doctor name it', async (context) => {
  const served = [['outside', tcp(nodeAddress('n1'), nodePort(1)), answer(nodeAddress('n1'), 'p2')]] as const;
  await assertPaths(lab, served);
  const guard = attachGuard('eth0');
  if (guard === undefined) return context.skip('this kernel has no tcx');
  const message = /A program of other software runs before weir's .* device=eth0 ahead="1\. tcx program guard \(id \d+\)"/;
  await until('the agent names the program', () => message.test(lab.agent('n1').log));
  await assertPaths(lab, [['outside', tcp(nodeAddress('n1'), nodePort(1)), 'refused']]);
  assert.match((await detailOf('programs ahead at tc ingress')) ?? '', /^eth0: 1\. tcx program guard \(id \d+\)$/);
  guard.detach();
  await until('the agent says that it is gone', () => /No program runs before weir's any more.* device=eth0/.test(lab.agent('n1').log));
  await assertPaths(lab, served);
});

test('a forward chain that drops takes the Services away, and a rule for the mark of flows gives them back', async () => {
  const nft = (text: string) => lab.exec('n1', ['nft', text]);
  const path = (expected: Parameters<typeof assertAll>[2]) =>
    assertPaths(lab, [['outside', tcp(nodeAddress('n1'), nodePort(1)), expected]]);
  await nft('table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }');
  await path('dropped');
  assert.equal(await detailOf('policy of forward chains'), 'drop in chain FORWARD in table ip filter');
  await nft('insert rule ip filter FORWARD ct mark and 0x2000 == 0x2000 accept');
  await path(answer(nodeAddress('n1'), 'p2'));
  await nft('delete table ip filter');
});

test('[host-scope-agent-away] --socket-scope host: what comes while the agent is away has no Services until the agent is back', async () => {
  await lab.agent('n1').kill();
  addVeth('x1', 1, 'late1');
  start('n1', 'late1', near(1));
  await assertAll('x1', tcp(clusterIP(1), 80), 'refused');
  assert.equal(await detailOf('devices without the packet program'), 'late1');
  await lab.agent('n1').start();
  await assertServed('x1', 'late1');
  assert.equal(await detailOf('devices without the packet program'), 'none');
});
