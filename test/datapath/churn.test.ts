import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fewer, raise, scaled } from './ground.ts';
import { CLIENT, nodeAddress, type PodSpec, SERVERS, service, slice } from './objects.ts';

/** Changes under one load; loads follow each other until there were so many connections in all, and so many changes reached the kernel. */
const CHANGES = 300;
const CONNECTIONS = 3000;
const PASSES = 100;
/**
 * UDP sockets of a client outside have ports that no socket had before: an old flow of the same port may end at any moment, because its
 * endpoint is gone, and packets on their way then are lost. Each load has some thousand of them.
 */
const OWN_PORTS = 2000;
const PORTS_OF_LOAD = 6000;
const VIP = { v4: '10.96.0.10', v6: 'fd00:96::10' };
const NODE_PORT = { tcp: 30080, udp: 30081 };

const WEB = service({
  name: 'web',
  clusterIPs: [VIP.v4, VIP.v6],
  ports: [
    { name: 'tcp', protocol: 'TCP', port: 80, nodePort: NODE_PORT.tcp },
    { name: 'udp', protocol: 'UDP', port: 81, nodePort: NODE_PORT.udp },
  ],
});

const lab = await raise('churn', { pods: [...SERVERS, CLIENT], objects: [WEB] });

const slices = (pods: readonly PodSpec[]): object[] => [slice({ of: 'web', pods }), slice({ of: 'web', pods, family: 6 })];

/** The pods of change `i`: every combination but none. */
const chosen = (i: number): readonly PodSpec[] => SERVERS.filter((_, p) => ((i % 15) + 1) & (1 << p));

test('no connection is lost while the endpoints of a Service change hundreds of times', async () => {
  const loads = [
    ['t/p9', { protocol: 'tcp', address: VIP.v4, port: 80 }],
    ['t/p9', { protocol: 'tcp', address: VIP.v6, port: 80 }],
    ['t/p9', { protocol: 'udp', address: VIP.v4, port: 81, unconnected: true }],
    ['outside', { protocol: 'tcp', address: nodeAddress('n1'), port: NODE_PORT.tcp }],
    ['outside', { protocol: 'tcp', address: nodeAddress('n1', 6), port: NODE_PORT.tcp }],
    ['outside', { protocol: 'udp', address: nodeAddress('n1'), port: NODE_PORT.udp, localPort: OWN_PORTS }],
  ] as const;
  lab.writeManifest('web.json', slices(SERVERS));
  await sleep(scaled(1000));
  const passes = (): number => lab.agent('n1').log.match(/Wrote tables/g)?.length ?? 0;
  let round = 0;
  for (let connections = 0; connections < fewer(CONNECTIONS) || passes() < fewer(PASSES); ) {
    const running = loads.map(([from, target]) => {
      const own = 'localPort' in target ? { localPort: target.localPort + (round % 5) * PORTS_OF_LOAD } : {};
      return lab.load(from, { target: { ...target, ...own, timeoutMs: scaled(5000) }, concurrency: 2 });
    });
    round++;
    for (let i = 0; i < fewer(CHANGES); i++) {
      lab.writeManifest('web.json', slices(chosen(i)));
      await sleep(10);
    }
    const reports = await Promise.all(running.map((load) => load.stop()));
    for (const [i, report] of reports.entries()) {
      assert.deepEqual(report.failures, {}, `${JSON.stringify(loads[i])}: ${report.answered} answered`);
      assert.ok(report.answered > 0, `${JSON.stringify(loads[i])} should have been answered`);
      connections += report.answered;
    }
  }
});
