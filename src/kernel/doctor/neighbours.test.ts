import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { test } from 'node:test';
import { addVeth, openSmall, run, scratchNetns, scratchState, skipIf, whyNoDatapath, whyNoKernel } from '#support/kernel-ground.ts';
import { BPF_TCX_INGRESS } from '../bpf/device-links.ts';
import { libbpf } from '../bpf/libbpf.ts';
import { CStruct } from '../ffi/ffi.ts';
import { inNetns } from '../node/netns.ts';
import { probe } from './probes.ts';

const STATE = 'xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp';

const finding = (netns: string, name: string, stateDir = '/run/weir-nowhere/bpf') =>
  inNetns(netns, () => probe({ cgroupRoot: undefined, stateDir })).find((each) => each.name === name);

test('a forward chain that drops is named, with its table', skipIf(whyNoKernel()), (t) => {
  const netns = scratchNetns(t);
  const name = 'policy of forward chains';
  assert.equal(finding(netns, name)?.status, 'fine');
  const chain = (policy: string) => `type filter hook forward priority filter; policy ${policy};`;
  inNetns(netns, () =>
    run('nft', `table ip filter { chain FORWARD { ${chain('drop')} }; }; table inet own { chain f { ${chain('accept')} }; }`),
  );
  assert.equal(finding(netns, name)?.detail, 'drop in chain FORWARD in table ip filter');
});

test('a rule that writes a whole mark is named, with table, chain, handle and expression', skipIf(whyNoKernel()), (t) => {
  const netns = scratchNetns(t);
  const name = 'rules that write marks';
  assert.equal(finding(netns, name)?.status, 'fine');
  inNetns(netns, () =>
    run(
      'nft',
      'table inet vpn { chain pre { type filter hook prerouting priority mangle; meta mark set ct mark; ct mark set meta mark; }; }',
    ),
  );
  assert.match(finding(netns, name)?.detail ?? '', /^ct mark set meta mark in table inet vpn, chain pre, handle \d+$/);
});

test('a program ahead of ours and a device without ours are named', skipIf(whyNoDatapath()), (t) => {
  const [netns, stateDir] = [scratchNetns(t), scratchState(t)];
  const [ahead, bare] = ['programs ahead at tc ingress', 'devices without the packet program'];
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  const ifindex = addVeth(netns, 'a', 'b');
  assert.equal(finding(netns, bare, stateDir), undefined);
  inNetns(netns, () => datapath.attachDevice(ifindex, 'own'));
  assert.equal(finding(netns, ahead, stateDir)?.status, 'fine');
  assert.equal(finding(netns, bare, stateDir)?.detail, 'b');
  const program = libbpf.bpf_prog_load(3, 'guard', 'GPL', Buffer.from('b7000000010000009500000000000000', 'hex'), 2, null);
  t.after(() => closeSync(program));
  const link = inNetns(netns, () => libbpf.bpf_link_create(program, ifindex, BPF_TCX_INGRESS, CStruct.sized(16).u32(8, 8).bytes));
  if (link < 0) return t.skip('this kernel has no tcx');
  t.after(() => closeSync(link));
  assert.match(finding(netns, ahead, stateDir)?.detail ?? '', /^a: 1\. tcx program guard \(id \d+\)$/);
});

test('states of IPsec in transport mode are counted', skipIf(whyNoKernel()), (t) => {
  const netns = scratchNetns(t);
  const name = 'IPsec in transport mode';
  assert.equal(finding(netns, name)?.detail, 'no states');
  const add = (spi: number, mode: string) =>
    spawnSync('ip', ['-n', netns.slice('/run/netns/'.length), ...`${STATE} spi ${spi} mode ${mode} enc cipher_null`.split(' '), '']);
  if (add(1, 'transport').status !== 0) return t.skip('this kernel has no ESP');
  assert.equal(add(2, 'tunnel').status, 0);
  assert.equal(finding(netns, name)?.detail, '1 states');
});
