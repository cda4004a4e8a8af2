import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { inNetns } from '../node/netns.ts';
import { runNft } from './libnftables.ts';
import { markWrites, type NftRule } from './mark-writes.ts';

const BITS = 0x3000;

/** Statements as nft reads and shows them, with the texts of their writes. */
const STATEMENTS: readonly (readonly [statement: string, writes: readonly string[]])[] = [
  ['ct mark set 0x1', ['ct mark set 0x1']],
  ['ct mark set meta mark', ['ct mark set meta mark']],
  ['ct mark set ct mark and 0xffff0000', ['ct mark set ct mark & 0xffff0000']],
  ['ct mark set ct mark or 0x2000', ['ct mark set ct mark | 0x2000']],
  ['ct mark set ct mark xor 0x1000', ['ct mark set ct mark ^ 0x1000']],
  ['ct mark set ct mark and 0xffff or 0x1', []],
  ['ct mark set ct mark or 0x4000', []],
  ['meta mark set ct mark', []],
  ['meta mark set 0x1', []],
  ['meta mark 0x1 accept', []],
  ['meta priority set 0x1', []],
];

for (const [statement, writes] of STATEMENTS)
  test(`"${statement}" ${writes.length > 0 ? 'writes' : 'keeps'} the bits`, skipIf(whyNoKernel()), (t) => {
    const shown = inNetns(scratchNetns(t), () => {
      run('nft', `table inet other { chain c { ${statement}; }; }`);
      return runNft('list table inet other', 'terse');
    });
    const objects = (JSON.parse(shown) as { nftables: { rule?: NftRule }[] }).nftables;
    assert.deepEqual(
      objects.flatMap(({ rule }) => (rule === undefined ? [] : markWrites(rule, BITS))),
      writes,
    );
  });

test('targets of iptables that write marks of flows are named', () => {
  const rule = (name: string): NftRule => ({
    family: 'ip',
    table: 'mangle',
    chain: 'PREROUTING',
    handle: 4,
    expr: [{ xt: { type: 'target', name } }],
  });
  assert.deepEqual(markWrites(rule('CONNMARK'), BITS), ['iptables target CONNMARK']);
  assert.deepEqual(markWrites(rule('MARK'), BITS), []);
  assert.deepEqual(markWrites(rule('LOG'), BITS), []);
  assert.deepEqual(markWrites({ ...rule('LOG'), expr: [{ xt: null }, null] }, BITS), []);
});
