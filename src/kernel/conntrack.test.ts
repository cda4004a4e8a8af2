import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countConntrackEntries } from './conntrack.ts';
import { runNft } from './libnftables.ts';
import { inNetns } from './netns.ts';
import { keepTranslation } from './ruleset.ts';
import { run, scratchNetns, skipIf, whyNoKernel } from './test-ground.ts';

const kernel = skipIf(whyNoKernel());

function addEntry(netns: string, port: number, mark: number): void {
  const tuple = ['-p', 'udp', '-s', '10.0.0.1', '-d', '10.0.0.2', '--sport', `${port}`, '--dport', '53'];
  run('nsenter', `--net=${netns}`, 'conntrack', '-I', ...tuple, '--timeout', '60', '--mark', `${mark}`);
}

test('conntrack entries are counted by a bit of their mark, in their own namespace', kernel, (t) => {
  const netns = scratchNetns(t);
  const other = scratchNetns(t);
  addEntry(netns, 1, 0x2000);
  addEntry(netns, 2, 0x2001);
  addEntry(netns, 3, 0x1000);
  assert.equal(
    inNetns(netns, () => countConntrackEntries(0x2000)),
    2,
  );
  assert.equal(
    inNetns(other, () => countConntrackEntries(0x2000)),
    0,
  );
});

test('what is kept for living flows is the NAT chains and nothing else', kernel, (t) => {
  const netns = scratchNetns(t);
  inNetns(netns, () => {
    keepTranslation();
    keepTranslation();
    const chains = runNft('list table inet weir').match(/chain \w+/g);
    assert.deepEqual(chains, ['chain nat_prerouting', 'chain nat_input', 'chain nat_output', 'chain nat_postrouting']);
  });
});
