import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { ADDRESS_CLUSTER_IP } from '#abi/generated.ts';
import { type Address, ZERO_ADDRESS } from '#lib/address.ts';
import type { Datapath } from '#reconcile/ports/datapath.ts';
import { openForTest, run, scratchNetns, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { listLinks } from '../netlink/links.ts';
import { installRuleset } from '../nftables/ruleset.ts';
import { inNetns } from '../node/netns.ts';
import { sysctl } from '../node/sysctl.ts';

const CLUSTER_IP = '10.96.0.1' as Address;
const CALL_NETFILTER = 'bridge-nf-call-iptables';

const whyNoBridges = (): string | undefined =>
  whyNoDatapath() ?? (sysctl(`net.bridge.${CALL_NETFILTER}`) === undefined ? 'needs br_netfilter' : undefined);

/** A node and a pod behind its bridge, whose address is another than the port's; `asks`: whether the bridge asks netfilter. */
function bridgedPod(t: TestContext, asks: '0' | '1'): { readonly node: string; readonly pod: string } {
  const [node, pod] = [scratchNetns(t), scratchNetns(t)];
  inNetns(node, () => {
    writeFileSync(`/proc/sys/net/bridge/${CALL_NETFILTER}`, asks);
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
    run('ip', 'link', 'add', 'br0', 'address', '02:00:00:00:00:01', 'type', 'bridge');
    run('ip', 'link', 'add', 'port', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.slice('/run/netns/'.length));
    run('ip', 'link', 'set', 'port', 'master', 'br0', 'up');
    run('ip', 'link', 'set', 'br0', 'up');
    run('ip', 'address', 'add', '10.0.1.1/24', 'dev', 'br0');
  });
  inNetns(pod, () => {
    run('ip', 'link', 'set', 'eth0', 'up');
    run('ip', 'address', 'add', '10.0.1.2/24', 'dev', 'eth0');
    run('ip', 'route', 'add', 'default', 'via', '10.0.1.1');
  });
  return { node, pod };
}

/** A live ClusterIP without ports, so that the node refuses every client. */
function refuseOn(node: string, { tables, attachDevice }: Datapath): void {
  const [snat4, snat6] = [ZERO_ADDRESS[4], ZERO_ADDRESS[6]];
  const settings = { nodeNetnsCookie: 1n, flags: 0, conntrackMark: 1, snat4, snat6 };
  tables.put('settings', [{ key: { value: 0 }, value: settings }]);
  tables.put('addresses', [{ key: { address: CLUSTER_IP }, value: { flags: ADDRESS_CLUSTER_IP } }]);
  inNetns(node, () => {
    installRuleset({ conntrackMark: 1, masqueradeMark: 2 }, [{ kind: 'element', set: 'service_cidrs4', key: `${CLUSTER_IP}/32` }]);
    for (const { ifindex, name } of listLinks())
      if (name === 'port' || name === 'br0') attachDevice(ifindex, name === 'port' ? 'port' : 'own');
  });
}

const dial = (pod: string): string =>
  inNetns(pod, () => spawnSync('timeout', ['5', 'bash', '-c', `exec 3<>/dev/tcp/${CLUSTER_IP}/80`], { encoding: 'utf8' }).stderr);

for (const asks of ['0', '1'] as const)
  test(`a pod behind a bridge is answered with ${CALL_NETFILTER}=${asks}`, skipIf(whyNoBridges()), (t) => {
    const { node, pod } = bridgedPod(t, asks);
    refuseOn(node, openForTest(t));
    assert.match(dial(pod), /Connection refused/);
  });
