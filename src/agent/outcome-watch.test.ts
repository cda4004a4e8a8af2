import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  OUTCOME_PACKET_DROP_CONNTRACK,
  OUTCOME_PACKET_DROP_NO_SOURCE_PORT,
  OUTCOME_PACKET_DROP_SOURCE_RANGE,
  type TableName,
} from '#abi/generated.ts';
import { NO_EVENTS, type RecordedEvent } from '#events/event-recorder.ts';
import { createLog } from '#observe/log.ts';
import { createFakeTables } from '#support/fake-tables.ts';
import { watchOutcomes } from './outcome-watch.ts';

/** A watch that reads continuously, over tables in memory; `looks` counts its readings of a table. */
function watched(quietMs: number) {
  const tables = createFakeTables({ faultRate: 0 });
  const lines: string[] = [];
  const said: RecordedEvent[] = [];
  const looks = new Map<TableName, number>();
  const log = createLog(0, (line) => lines.push(line.slice(line.indexOf(' ') + 1).trimEnd()));
  const counted: Pick<typeof tables, 'dump'> = {
    dump(name) {
      looks.set(name, (looks.get(name) ?? 0) + 1);
      return tables.dump(name);
    },
  };
  const count = (outcome: number, times: number): void =>
    tables.put('counters', [{ key: { value: outcome }, value: { count: BigInt(times) } }]);
  return {
    tables,
    lines,
    said,
    count,
    looks: () => looks.get('counters') ?? 0,
    start: () => watchOutcomes(counted, { log, events: { ...NO_EVENTS, record: (one) => said.push(one) } }, { lookMs: 1, quietMs }),
  };
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds(); await sleep(1)) assert.ok(performance.now() < end, 'never came true');
}

test('a missing source port is reported with the Service, the address and the backend', async () => {
  const { tables, lines, said, count, start } = watched(0);
  tables.put('services', [{ key: { service: 7 }, value: { text: 't/web:http', family: 4, protocol: 6, lostFrontends: 0 } }]);
  tables.put('shortages', [
    { key: { value: 0 }, value: { source: '192.168.0.2', backend: '10.0.2.10', port: 8080, protocol: 6, service: 7 } as never },
  ]);
  const watch = start();
  count(OUTCOME_PACKET_DROP_NO_SOURCE_PORT, 3);
  await until(() => lines.length > 0);
  watch.stop();
  assert.match(
    lines.join('\n'),
    /^WARN {2}Dropped first packets .*source ports.* times=3 service=t\/web:http source=192\.168\.0\.2 backend=10\.0\.2\.10 port=8080$/,
  );
  assert.deepEqual(
    said.map(({ reason, note, service }) => [reason, note.slice(note.indexOf(' service=')), service]),
    [['SourcePortsExhausted', ' service=t/web:http source=192.168.0.2 backend=10.0.2.10 port=8080', undefined]],
    'how often is not said: the same again is the same',
  );
});

test('each increase is reported once, with its amount', async () => {
  const { lines, count, looks, start } = watched(0);
  count(OUTCOME_PACKET_DROP_CONNTRACK, 5);
  const watch = start();
  await until(() => looks() > 3);
  assert.equal(lines.length, 0, 'counts from before the start are ignored');
  count(OUTCOME_PACKET_DROP_CONNTRACK, 6);
  await until(() => lines.length > 0);
  const seen = looks();
  await until(() => looks() > seen + 3);
  count(OUTCOME_PACKET_DROP_CONNTRACK, 16);
  await until(() => lines.length > 1);
  watch.stop();
  assert.deepEqual(
    lines.map((line) => line.match(/times=\d+/)?.[0]),
    ['times=1', 'times=10'],
  );
});

test('one outcome is logged once per interval, and drops by policy are not logged', async () => {
  const { lines, count, looks, start } = watched(3_600_000);
  const watch = start();
  for (let times = 1; times <= 3; times++) {
    count(OUTCOME_PACKET_DROP_CONNTRACK, times);
    count(OUTCOME_PACKET_DROP_SOURCE_RANGE, times);
    const seen = looks();
    await until(() => looks() > seen + 2);
  }
  watch.stop();
  assert.equal(lines.length, 1);
});
