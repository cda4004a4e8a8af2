import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BACKEND_CLUSTER_LIST } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import { createFakeTables } from '#support/fake-tables.ts';
import { scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { inNetns } from '../node/netns.ts';
import { type BackendEntry, type BackendMaps, createBackendMaps, readBackendMaps, withBackendMaps } from './backend-maps.ts';
import { runNft } from './libnftables.ts';
import { installRuleset } from './ruleset.ts';

const kernel = skipIf(whyNoKernel());

const MARKS = { conntrackMark: 0x2000, masqueradeMark: 0x1000 };

const live = (id: number, address: string, port = 80): BackendEntry => ({
  key: { value: id },
  value: { address: address as Address, port, flags: BACKEND_CLUSTER_LIST, service: 1 },
});

const atRest = (entry: BackendEntry): BackendEntry => ({ ...entry, value: { ...entry.value, flags: 0 } });

/** `id address port` of every element, in the order of ids. */
function elements(): string[] {
  const found: [number, string][] = [];
  readBackendMaps(({ id, address, port }) => found.push([id, `${id} ${address} ${port}`]));
  return found.sort(([a], [b]) => a - b).map(([, text]) => text);
}

/** Runs `use` in a network namespace with table `inet weir`, with maps whose clock it may advance. */
function onNode(t: TestContext, use: (maps: BackendMaps, advance: (ms: number) => void) => void): void {
  let now = 0;
  inNetns(scratchNetns(t), () => {
    installRuleset(MARKS);
    use(
      createBackendMaps(() => now),
      (ms) => {
        now += ms;
      },
    );
  });
}

test('a retired backend stays for packets that carry its id, and goes when its rest is over', kernel, (t) => {
  onNode(t, (maps, advance) => {
    maps.fill([live(1, '10.0.0.1'), live(70_000, 'fd00::1', 8080)]);
    assert.deepEqual(elements(), ['1 10.0.0.1 80', '70000 fd00::1 8080']);
    maps.follow([atRest(live(1, '10.0.0.1'))]);
    advance(4999);
    maps.follow([live(2, '10.0.0.2')]);
    assert.deepEqual(elements(), ['1 10.0.0.1 80', '2 10.0.0.2 80', '70000 fd00::1 8080']);
    advance(1);
    maps.follow([]);
    assert.deepEqual(elements(), ['2 10.0.0.2 80', '70000 fd00::1 8080']);
  });
});

test('an id gets another endpoint, also of the other family, and a backend comes back', kernel, (t) => {
  onNode(t, (maps) => {
    maps.fill([live(1, '10.0.0.1')]);
    maps.follow([atRest(live(1, '10.0.0.1'))]);
    maps.follow([live(1, 'fd00::1')]);
    assert.deepEqual(elements(), ['1 fd00::1 80']);
    maps.follow([atRest(live(1, 'fd00::1'))]);
    maps.follow([live(1, 'fd00::1')]);
    assert.deepEqual(elements(), ['1 fd00::1 80']);
  });
});

test('flags of a backend that changes lists write nothing', kernel, (t) => {
  onNode(t, (maps) => {
    maps.fill([live(1, '10.0.0.1')]);
    runNft('delete table inet weir');
    maps.follow([live(1, '10.0.0.1')]);
  });
});

test('adopting repairs what another process changed, and reports ids that only the maps hold', kernel, (t) => {
  onNode(t, (maps) => {
    maps.fill([live(1, '10.0.0.1'), live(2, '10.0.0.2'), live(3, '10.0.0.3'), live(4, 'fd00::4')]);
    runNft('delete element inet weir backends4 { 0:1 }; delete element inet weir backends4 { 0:2 }');
    runNft('add element inet weir backends4 { 0:2 : 10.9.9.9 . 1 }');
    const found = maps.adopt([live(1, '10.0.0.1'), live(2, '10.0.0.2'), live(4, 'fd00::4')]);
    assert.deepEqual(elements(), ['1 10.0.0.1 80', '2 10.0.0.2 80', '3 10.0.0.3 80', '4 fd00::4 80']);
    assert.deepEqual(found, [{ key: { value: 3 }, value: { address: '10.0.0.3', port: 80, flags: 0, service: 0 } }]);
  });
});

test('programs of an earlier agent keep their ids for a minute', kernel, (t) => {
  onNode(t, (maps, advance) => {
    maps.fill([live(3, '10.0.0.3')]);
    maps.adopt([]);
    advance(59_999);
    maps.follow([live(5, '10.0.0.5')]);
    assert.deepEqual(elements(), ['3 10.0.0.3 80', '5 10.0.0.5 80']);
    advance(1);
    maps.follow([]);
    assert.deepEqual(elements(), ['5 10.0.0.5 80']);
  });
});

test('without the table nothing is written and nothing fails', kernel, (t) => {
  inNetns(scratchNetns(t), () => {
    const maps = createBackendMaps(() => 0);
    assert.deepEqual(maps.adopt([live(1, '10.0.0.1')]), []);
    maps.follow([live(1, '10.0.0.1'), atRest(live(2, '10.0.0.2'))]);
    maps.fill([live(1, '10.0.0.1')]);
    installRuleset(MARKS);
    assert.deepEqual(elements(), []);
  });
});

test('a write that the maps refuse compares them with the table first', kernel, (t) => {
  onNode(t, (maps, advance) => {
    const tables = createFakeTables({ faultRate: 0 });
    const both = withBackendMaps(tables, maps);
    both.put('backends', [live(1, '10.0.0.1'), live(2, '10.0.0.2')]);
    both.put('backends', [atRest(live(1, '10.0.0.1'))]);
    runNft('flush map inet weir backends4');
    advance(5000);
    both.put('backends', [live(3, '10.0.0.3')]);
    assert.deepEqual(elements(), ['2 10.0.0.2 80', '3 10.0.0.3 80']);
  });
});

test('the elements survive a new installation of the table, also of another revision', kernel, (t) => {
  onNode(t, (maps) => {
    maps.fill([live(1, '10.0.0.1'), live(70_000, 'fd00::1', 8080)]);
    const before = elements();
    assert.equal(installRuleset(MARKS), true);
    assert.deepEqual(elements(), before);
    assert.equal(installRuleset({ ...MARKS, masqueradeMark: 0x800 }), true);
    assert.deepEqual(elements(), before);
    runNft('delete table inet weir');
    assert.equal(installRuleset(MARKS), false);
    assert.deepEqual(elements(), []);
  });
});

test('a hundred thousand backends go into the maps', kernel, (t) => {
  onNode(t, (maps) => {
    const many = Array.from({ length: 100_000 }, (_, i) =>
      live(i + 1, i % 2 ? `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` : `fd00::${i.toString(16)}`),
    );
    maps.fill(many);
    assert.equal(elements().length, 100_000);
    assert.deepEqual(maps.adopt(many), []);
  });
});
