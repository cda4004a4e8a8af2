import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Address } from '#lib/address.ts';
import { createCounters } from '#observe/counters.ts';
import { createLog } from '#observe/log.ts';
import type { FlowVerdict, UdpFlow } from '#reconcile/flows/flows.ts';
import { createFakeFlows } from '#support/fake-flows.ts';
import { createStaleFlows, type StaleFlowsParts } from './stale-flows.ts';

/** A flow to a Service at `dialled`, which `answering` serves. */
const flowTo = (dialled: string, answering: string): UdpFlow => ({
  dialled: { address: dialled as Address, port: 53 },
  answering: { address: answering as Address, port: 5353 },
  isOurs: true,
});

/** A node with these entries and sockets; `judged` are verdicts by the address that answers, others are live. */
function nodeWith({
  entries = [] as UdpFlow[],
  sockets = [] as UdpFlow[],
  judged = {} as Record<string, FlowVerdict>,
  lateFlowsMs = 1_000_000,
}) {
  const seen = { asked: [] as UdpFlow[], lines: [] as string[] };
  const counters = createCounters();
  const [packetFlows, socketFlows] = [createFakeFlows(entries), createFakeFlows(sockets)];
  for (const each of entries) if (each.answering.address === GONE_MEANWHILE) packetFlows.vanishing.add(each);
  const parts: StaleFlowsParts = {
    reconciler: {
      judgeFlow(flow) {
        seen.asked.push(flow);
        return judged[flow.answering.address] ?? 'live';
      },
    },
    packetFlows,
    socketFlows,
    looked: () => {},
    log: createLog(2, (line) => seen.lines.push(line)),
    counters,
  };
  const flows = createStaleFlows(parts, lateFlowsMs);
  const looks = () => ({ entries: packetFlows.walks, sockets: socketFlows.walks });
  return { flows, seen, counters, packetFlows, looks };
}

const GONE_MEANWHILE = '10.0.0.99';

test('stale entries are removed and counted with reason and family; one that is gone meanwhile does not count [udp-nothing-else]', async () => {
  const { flows, seen, counters, packetFlows } = nodeWith({
    entries: [
      flowTo('172.30.0.1', '10.0.0.1'),
      flowTo('172.30.0.1', '10.0.0.2'),
      flowTo('fd00::1', 'fd00::3'),
      flowTo('172.30.0.1', GONE_MEANWHILE),
    ],
    judged: { '10.0.0.2': 'endpoint_gone', 'fd00::3': 'service_gone', [GONE_MEANWHILE]: 'endpoint_gone' },
  });
  flows.follow({ backends: 0, frontends: 1 });
  await sleep(1);
  assert.deepEqual(
    packetFlows.flows.map(({ answering }) => answering.address),
    ['10.0.0.1'],
  );
  assert.deepEqual(counters.totals(), {
    'deleted_conntrack_entries.endpoint_gone': 1,
    'deleted_conntrack_entries_of.IPv4': 1,
    'deleted_conntrack_entries.service_gone': 1,
    'deleted_conntrack_entries_of.IPv6': 1,
  });
  assert.match(seen.lines.join(''), /entries=4 deleted=endpoint_gone:1,service_gone:1 /);
});

test('flows of others are left alone', async () => {
  const { flows, packetFlows } = nodeWith({ entries: [flowTo('172.30.0.1', '10.0.0.1')], judged: { '10.0.0.1': 'foreign' } });
  flows.lookAtAll();
  await sleep(1);
  assert.equal(packetFlows.walks, 1);
  assert.equal(packetFlows.flows.length, 1);
});

test('nothing is looked at without a loss; sockets only where a backend went', async () => {
  const { flows, looks } = nodeWith({});
  const looksAfter = async (losses: { backends: number; frontends: number }) => {
    flows.follow(losses);
    await sleep(1);
    return looks();
  };
  assert.deepEqual(await looksAfter({ backends: 0, frontends: 0 }), { entries: 0, sockets: 0 });
  assert.deepEqual(await looksAfter({ backends: 0, frontends: 1 }), { entries: 1, sockets: 0 });
  assert.deepEqual(await looksAfter({ backends: 1, frontends: 0 }), { entries: 2, sockets: 1 });
  flows.stop();
  assert.deepEqual(await looksAfter({ backends: 1, frontends: 1 }), { entries: 2, sockets: 1 });
});

test('sockets that were ended are counted with their reason [udp-sockets-ended]', async () => {
  const { flows, counters, seen } = nodeWith({
    sockets: ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((answering) => flowTo('172.30.0.1', answering)),
    judged: { '10.0.0.2': 'no_endpoint', '10.0.0.3': 'no_endpoint' },
  });
  flows.lookAtAll();
  await sleep(1);
  assert.deepEqual(counters.totals(), { 'ended_udp_sockets.no_endpoint': 2 });
  assert.match(seen.lines.join(''), /ended=no_endpoint:2/);
});

test('after a loss there is another look, for what a program made that read the tables just before', async () => {
  const { flows, looks } = nodeWith({ lateFlowsMs: 5 });
  flows.follow({ backends: 0, frontends: 1 });
  while (looks().entries < 2 || looks().sockets < 1) await sleep(1);
  flows.stop();
});

test('a flow that ended before a walk failed counts, and a retry ends the rest', async () => {
  const { flows, counters, packetFlows, seen } = nodeWith({
    entries: ['10.0.0.1', '10.0.0.2'].map((answering) => flowTo('172.30.0.1', answering)),
    judged: { '10.0.0.1': 'endpoint_gone', '10.0.0.2': 'endpoint_gone' },
  });
  packetFlows.failsAfter = 1;
  flows.lookAtAll();
  await sleep(1);
  assert.equal(counters.totals()['deleted_conntrack_entries.endpoint_gone'], 1);
  assert.match(seen.lines.join(''), /Cannot end stale UDP flows, trying again error=/);
  flows.lookAtAll();
  await sleep(1);
  assert.equal(counters.totals()['deleted_conntrack_entries.endpoint_gone'], 2);
  assert.deepEqual(packetFlows.flows, []);
});
