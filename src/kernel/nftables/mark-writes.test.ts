import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { inNetns } from '../node/netns.ts';
import { runNft } from './libnftables.ts';
import { markWrites, type NftRule } from './mark-writes.ts';

const BIT = 0x2000;

/** Statements as nft reads and shows them, with the texts of their writes. */
const STATEMENTS: readonly (readonly [statement: string, writes: readonly string[]])[] = [
  ['meta mark set 0x1', ['meta mark set 0x1']],
  ['meta mark set ct mark', ['meta mark set ct mark']],
  ['ct mark set meta mark', ['ct mark set meta mark']],
  ['ct mark set 0x2000', ['ct mark set 0x2000']],
  ['meta mark set meta mark and 0xffff0000', ['meta mark set meta mark & 0xffff0000']],
  ['meta mark set meta mark or 0x2000', ['meta mark set meta mark | 0x2000']],
  ['meta mark set meta mark xor 0x2000', ['meta mark set meta mark ^ 0x2000']],
  ['meta mark set meta mark and 0xffff or 0x1', []],
  ['meta mark set meta mark or 0x4000', []],
  ['ct mark set ct mark or 0x1', []],
  ['meta mark 0x1 accept', []],
  ['meta priority set 0x1', []],
];

for (const [statement, writes] of STATEMENTS)
  test(`"${statement}" ${writes.length > 0 ? 'writes' : 'keeps'} the bit`, skipIf(whyNoKernel()), (t) => {
    const shown = inNetns(scratchNetns(t), () => {
      run('nft', `table inet other { chain c { ${statement}; }; }`);
      return runNft('list table inet other', 'terse');
    });
    const objects = (JSON.parse(shown) as { nftables: { rule?: NftRule }[] }).nftables;
    assert.deepEqual(
      objects.flatMap(({ rule }) => (rule === undefined ? [] : markWrites(rule, BIT))),
      writes,
    );
  });

test('targets of iptables that write marks are named', () => {
  const rule = (name: string): NftRule => ({
    family: 'ip',
    table: 'mangle',
    chain: 'PREROUTING',
    handle: 4,
    expr: [{ xt: { type: 'target', name } }],
  });
  assert.deepEqual(markWrites(rule('CONNMARK'), BIT), ['iptables target CONNMARK']);
  assert.deepEqual(markWrites(rule('MARK'), BIT), ['iptables target MARK']);
  assert.deepEqual(markWrites(rule('LOG'), BIT), []);
  assert.deepEqual(markWrites({ ...rule('LOG'), expr: [{ xt: null }, null] }, BIT), []);
});
