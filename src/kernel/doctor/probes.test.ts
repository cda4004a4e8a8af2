import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { openDescriptors, run, scratchNetns, skipIf, whyNoDatapath, whyNoKernel } from '#support/kernel-ground.ts';
import { listLinks } from '../netlink/links.ts';
import { runNft } from '../nftables/libnftables.ts';
import { inNetns } from '../node/netns.ts';
import { kubeProxyRules } from './probe-leftovers.ts';
import { probe } from './probes.ts';

const node = { cgroupRoot: undefined, stateDir: '/run/weir-nowhere/bpf' };

const finding = (netns: string, name: string) => inNetns(netns, () => probe(node)).find((each) => each.name === name);

test('every finding that is not fine says what follows and what to do', skipIf(whyNoKernel()), (t) => {
  const findings = inNetns(scratchNetns(t), () => probe(node));
  assert.ok(findings.length > 25);
  assert.equal(new Set(findings.map((each) => each.name)).size, findings.length);
  for (const { name, status, detail, consequence, remedy } of findings) {
    assert.notEqual(detail, '', name);
    assert.equal(consequence === '', status === 'fine', name);
    assert.equal(remedy === '', status === 'fine', name);
  }
});

test('a kernel that loads the programs has everything that they need', skipIf(whyNoDatapath()), (t) => {
  const findings = inNetns(scratchNetns(t), () => probe(node));
  const needed = findings.filter(({ name }) => /^(kernel function|hook|map type)/.test(name));
  assert.deepEqual(
    needed.filter(({ status }) => status !== 'fine'),
    [],
  );
});

test('a probe changes nothing and leaves no descriptor behind', skipIf(whyNoKernel()), (t) => {
  const netns = scratchNetns(t);
  inNetns(netns, () => probe(node));
  const state = () => inNetns(netns, () => JSON.stringify([listLinks(), runNft('list ruleset'), openDescriptors()]));
  const before = state();
  for (let i = 0; i < 3; i++) inNetns(netns, () => probe(node));
  assert.equal(state(), before);
});

test('a forwarding node is distinguished from one that does not forward', skipIf(whyNoKernel()), (t) => {
  const netns = scratchNetns(t);
  assert.equal(finding(netns, 'net.ipv4.ip_forward')?.status, 'degraded');
  inNetns(netns, () => run('sysctl', '-qw', 'net.ipv4.ip_forward=1'));
  assert.equal(finding(netns, 'net.ipv4.ip_forward')?.status, 'fine');
});

test('pods that share a bridge are a finding', skipIf(whyNoKernel()), (t) => {
  const netns = scratchNetns(t);
  const name = 'net.bridge.bridge-nf-call-iptables';
  const script =
    'ip link add name br0 type bridge; for i in 1 2; do ip link add name p$i type veth peer name q$i; ip link set dev p$i master br0; done';
  assert.equal(finding(netns, name), undefined);
  inNetns(netns, () => run('sh', '-ec', script));
  assert.match(finding(netns, name)?.detail ?? '', /bridges with several ports: br0$/);
});

test("kube-proxy's tables are found in the namespace", skipIf(whyNoKernel()), (t) => {
  const netns = scratchNetns(t);
  const name = 'leftovers of kube-proxy in nftables';
  assert.equal(finding(netns, name)?.status, 'fine');
  inNetns(netns, () => runNft('table ip kube-proxy { chain services { }; }; table ip nat { chain KUBE-SERVICES { }; }'));
  assert.equal(finding(netns, name)?.detail, 'table ip kube-proxy, chain KUBE-SERVICES in table ip nat');
});

const whyNoLegacy = (): string | undefined =>
  spawnSync('iptables-legacy', ['--version']).error ? 'no iptables-legacy: run apt-get install iptables' : undefined;

test(
  "kube-proxy's chains in the old tables are found; without the command that shows them their absence is not claimed",
  skipIf(whyNoKernel() ?? whyNoLegacy()),
  (t) => {
    const netns = scratchNetns(t);
    const name = 'leftovers of kube-proxy in iptables-legacy';
    assert.equal(finding(netns, name)?.detail, 'none');
    inNetns(netns, () => run('iptables-legacy', '-t', 'nat', '-N', 'KUBE-SERVICES'));
    assert.equal(finding(netns, name)?.detail, 'chain KUBE-SERVICES in iptables-legacy, table nat');
    const { PATH } = process.env;
    process.env.PATH = '/nowhere';
    const unseen = finding(netns, name);
    process.env.PATH = PATH;
    assert.equal(unseen?.status, 'degraded');
    assert.match(unseen.detail, /^iptables-legacy has a table nat that cannot be looked into: .*ENOENT/);
  },
);

test('chains of other programs are not left-overs', () => {
  const chain = (family: string, table: string, name: string) => ({ chain: { family, table, name } });
  assert.deepEqual(
    kubeProxyRules([{ table: { family: 'ip', name: 'nat' } }, chain('ip', 'nat', 'POSTROUTING'), chain('inet', 'weir', 'refuse')]),
    [],
  );
  assert.deepEqual(kubeProxyRules([chain('ip6', 'kube-proxy', 'a'), chain('ip6', 'kube-proxy', 'b')]), ['table ip6 kube-proxy']);
});
