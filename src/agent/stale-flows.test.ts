import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConntrackEntry } from '#kernel/conntrack.ts';
import type { Address } from '#lib/address.ts';
import { createCounters } from '#observe/counters.ts';
import { createLog } from '#observe/log.ts';
import type { FlowVerdict, UdpFlow } from '#reconcile/reconciler.ts';
import { createStaleFlows } from './stale-flows.ts';

const MARK = 0x2000;

/** An entry to a Service at `dialled`, which `answering` serves. */
const entry = (dialled: string, answering: string, mark = MARK): ConntrackEntry => {
  const client = dialled.includes(':') ? '2001:db8::1' : '203.0.113.2';
  return {
    original: { source: client as Address, sourcePort: 9, destination: dialled as Address, destinationPort: 53 },
    reply: { source: answering as Address, sourcePort: 5353, destination: client as Address, destinationPort: 9 },
    mark,
  };
};

/** A node with these entries and sockets; `judged` are verdicts by the address that answers, others are live. */
function nodeWith({ entries = [] as ConntrackEntry[], sockets = [] as UdpFlow[], judged = {} as Record<string, FlowVerdict> }) {
  const seen = { removed: [] as string[], looks: { entries: 0, sockets: 0 }, asked: [] as UdpFlow[], lines: [] as string[] };
  const counters = createCounters();
  const flows = createStaleFlows({
    reconciler: {
      judgeFlow(flow) {
        seen.asked.push(flow);
        return judged[flow.answering.address] ?? 'live';
      },
    },
    async walkEntries(look) {
      seen.looks.entries++;
      for (const each of entries)
        look(each, () => {
          const isThere = each.reply.source !== GONE_MEANWHILE;
          if (isThere) seen.removed.push(each.reply.source);
          return isThere;
        });
      return entries.length;
    },
    async endSockets(isStale) {
      seen.looks.sockets++;
      return sockets.filter(isStale);
    },
    conntrackMark: MARK,
    log: createLog(2, (line) => seen.lines.push(line)),
    counters,
  });
  return { flows, seen, counters };
}

const GONE_MEANWHILE = '10.0.0.99';

test('stale entries are removed and counted with reason and family; one that is gone meanwhile does not count [udp-nothing-else]', async () => {
  const { flows, seen, counters } = nodeWith({
    entries: [
      entry('172.30.0.1', '10.0.0.1'),
      entry('172.30.0.1', '10.0.0.2'),
      entry('fd00::1', 'fd00::3'),
      entry('172.30.0.1', GONE_MEANWHILE),
    ],
    judged: { '10.0.0.2': 'endpoint_gone', 'fd00::3': 'service_gone', [GONE_MEANWHILE]: 'endpoint_gone' },
  });
  flows.follow({ backends: 0, frontends: 1 });
  await sleep(1);
  assert.deepEqual(seen.removed, ['10.0.0.2', 'fd00::3']);
  assert.deepEqual(counters.totals(), {
    'deleted_conntrack_entries.endpoint_gone': 1,
    'deleted_conntrack_entries_of.IPv4': 1,
    'deleted_conntrack_entries.service_gone': 1,
    'deleted_conntrack_entries_of.IPv6': 1,
  });
  assert.match(seen.lines.join(''), /entries=4 deleted=endpoint_gone:1,service_gone:1 /);
});

test('an entry is ours by its mark, and its flow is what was dialled and who replies', async () => {
  const { flows, seen } = nodeWith({ entries: [entry('172.30.0.1', '10.0.0.1', MARK | 1), entry('172.30.0.1', '10.0.0.1', 1)] });
  flows.lookAtAll();
  await sleep(1);
  const flow = { dialled: { address: '172.30.0.1', port: 53 }, answering: { address: '10.0.0.1', port: 5353 } };
  assert.deepEqual(seen.asked, [
    { ...flow, isOurs: true },
    { ...flow, isOurs: false },
  ]);
});

test('flows of others are left alone', async () => {
  const { flows, seen } = nodeWith({ entries: [entry('172.30.0.1', '10.0.0.1')], judged: { '10.0.0.1': 'foreign' } });
  flows.lookAtAll();
  await sleep(1);
  assert.deepEqual(seen.removed, []);
});

test('nothing is looked at without a loss; sockets only where a backend went', async () => {
  const { flows, seen } = nodeWith({});
  const looksAfter = async (losses: { backends: number; frontends: number }) => {
    flows.follow(losses);
    await sleep(1);
    return { ...seen.looks };
  };
  assert.deepEqual(await looksAfter({ backends: 0, frontends: 0 }), { entries: 0, sockets: 0 });
  assert.deepEqual(await looksAfter({ backends: 0, frontends: 1 }), { entries: 1, sockets: 0 });
  assert.deepEqual(await looksAfter({ backends: 1, frontends: 0 }), { entries: 2, sockets: 1 });
  flows.stop();
  assert.deepEqual(await looksAfter({ backends: 1, frontends: 1 }), { entries: 2, sockets: 1 });
});

test('sockets that were ended are counted with their reason [udp-sockets-ended]', async () => {
  const socket = (answering: string): UdpFlow => ({
    dialled: { address: '172.30.0.1' as Address, port: 53 },
    answering: { address: answering as Address, port: 5353 },
    isOurs: true,
  });
  const { flows, counters, seen } = nodeWith({
    sockets: ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(socket),
    judged: { '10.0.0.2': 'no_endpoint', '10.0.0.3': 'no_endpoint' },
  });
  flows.lookAtAll();
  await sleep(1);
  assert.deepEqual(counters.totals(), { 'ended_udp_sockets.no_endpoint': 2 });
  assert.match(seen.lines.join(''), /ended=no_endpoint:2/);
});
