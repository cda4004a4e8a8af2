import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEVICE_PODS } from '#abi/generated.ts';
import { type Address, type Prefix, parsePrefix } from '#lib/address.ts';
import type { RulesetItem } from '#reconcile/ports/ruleset.ts';
import { MAX_MEMORIES } from '#reconcile/ruleset/memories.ts';
import type { NodeFacts } from '#reconcile/wanted/wanted-state.ts';
import { run, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { type RulesetReconciler, reconcilerOfRuleset } from '#support/reconciling.ts';
import { sampleBackend, sampleFrontend, samplePlan } from '#support/sample-plans.ts';
import { inScratchNetns } from '../node/netns.ts';
import { runNft } from './libnftables.ts';
import { createRuleset } from './ruleset.ts';

const kernel = skipIf(whyNoKernel());

const OPTIONS = { conntrackMark: 0x2000, masqueradeMark: 0x1000 };

const listing = (): string => runNft('list table inet weir');

/** Installs an empty table and lets the function change it; afterwards nothing may be wrong. */
function inTable(act: (reconciler: RulesetReconciler, flush: () => void) => void): void {
  inScratchNetns(() => {
    const reconciler = reconcilerOfRuleset({ ruleset: createRuleset(OPTIONS, () => {}), now: () => 0 });
    const flush = (): void => {
      reconciler.flush(true);
      assert.deepEqual(reconciler.problems(), []);
    };
    flush();
    act(reconciler, flush);
  });
}

const everything = (name: string, family: 4 | 6) => {
  const [clusterIP, outer, any, backend, range] =
    family === 4
      ? ['10.96.0.1', '5.6.7.8', '0.0.0.0', '10.0.0.', '203.0.113.0/25']
      : ['fd00:96::1', '2001:db8::8', '::', 'fd00::', 'fd01::/64'];
  return samplePlan(name, {
    family,
    protocol: 132,
    clusterIPs: [clusterIP as Address],
    backends: [1, 2, 3].map((i) => sampleBackend(`${backend}${i}`, i, 1000 + i)),
    frontends: [
      sampleFrontend(clusterIP, { flags: 2 }),
      sampleFrontend(outer, { flags: 3 | 16 }),
      sampleFrontend(any, { port: 30080, outsideSource: 'local' }),
    ],
    sourceRanges: [range, range].map((text) => parsePrefix(text) as Prefix),
    affinitySeconds: 10,
  });
};

for (const family of [4, 6] as const)
  test(`nft takes everything that a Service over IPv${family} may have, each change of it, and its end`, kernel, () => {
    inTable((reconciler, flush) => {
      const empty = listing();
      const plan = everything('t/web:sig', family);
      reconciler.want(plan, plan);
      flush();
      const full = listing();
      for (const change of [
        { affinitySeconds: 20 },
        { affinitySeconds: 0 },
        { backends: plan.backends.slice(0, 1) },
        { backends: [] },
        { frontends: plan.frontends.slice(0, 1) },
        { frontends: plan.frontends.map((frontend) => ({ ...frontend, flags: 12 })), backends: [] },
        { sourceRanges: [] },
      ]) {
        reconciler.want(plan, { ...plan, ...change });
        flush();
        reconciler.want(plan, plan);
        flush();
        assert.equal(sortedLines(listing()), sortedLines(full));
      }
      reconciler.want(plan, undefined);
      flush();
      assert.equal(listing(), empty);
    });
  });

for (const family of [4, 6] as const)
  test(`nft takes session affinity over IPv${family} by a hash, which is the same when the table is made anew`, kernel, () => {
    inTable((reconciler, flush) => {
      const plan = everything('t/web:sig', family);
      const prefix = family === 4 ? '10.0.' : 'fd00::';
      const backends = Array.from({ length: MAX_MEMORIES + 1 }, (_, i) =>
        sampleBackend(`${prefix}${i >> 8}${family === 4 ? '.' : ':'}${i & 255}`),
      );
      reconciler.want(plan, { ...plan, backends });
      reconciler.flush(true);
      const rule = /dnat ip6? to jhash ip6? saddr mod 501 seed \S+ map/.exec(listing())?.[0];
      assert.ok(rule !== undefined);
      reconciler.install();
      assert.ok(listing().includes(rule));
      reconciler.want(plan, plan);
      flush();
      assert.doesNotMatch(listing(), /jhash/);
    });
  });

/** nft lists chains and sets in the order in which they came. */
const sortedLines = (text: string): string =>
  text
    .split(/[\n,{}]/)
    .map((line) => line.trim())
    .sort()
    .join('\n');

test('nft takes the longest names, and names that no API server would let pass', kernel, () => {
  inTable((reconciler, flush) => {
    for (const name of [
      `${'n'.repeat(63)}/${'s'.repeat(63)}:${'p'.repeat(15)}~80/SCTP`,
      't/ä"b\\: {}',
      't/_',
      't/_5f_',
      't/-x:y/z',
      '9/9',
    ]) {
      const plan = everything(name, 6);
      reconciler.want(plan, plan);
      flush();
      reconciler.want(plan, undefined);
      flush();
    }
  });
});

test('nft takes each change of the node, also networks that lie in one another', kernel, () => {
  inTable((reconciler, flush) => {
    const known = (nets: readonly string[], ...ifindexes: number[]): void => {
      const devices = ifindexes.map((ifindex) => ({ ifindex, flags: DEVICE_PODS }));
      const localNets = nets.map((net) => parsePrefix(net) as Prefix);
      reconciler.wantNode({
        heldAddresses: [],
        nodeAddresses: ['192.0.2.1', 'fd00::1'] as Address[],
        localNets,
        serviceCIDRs: localNets,
        devices,
      } as unknown as NodeFacts);
      flush();
    };
    known(['10.1.0.0/16', 'fd00:1::/64'], 1, 77);
    assert.equal(listing().match(/elements = \{ 10\.1\.0\.0\/16 \}/g)?.length, 2, 'local_nets and service_cidrs');
    known(['10.0.0.0/8', '10.1.0.0/16', '11.0.0.0/8'], 77);
    assert.match(listing(), /elements = \{ 10\.0\.0\.0\/8, 11\.0\.0\.0\/8 \}/);
    known(['10.1.0.0/16', '10.2.0.0/16']);
    assert.match(listing(), /elements = \{ 10\.1\.0\.0\/16, 10\.2\.0\.0\/16 \}/);
    known([]);
    assert.doesNotMatch(listing(), /(local_nets|service_cidrs)4 \{[^}]*elements/);
  });
});

test('a change that nft refuses has changed nothing', kernel, () => {
  inScratchNetns(() => {
    const ruleset = createRuleset(OPTIONS, () => {});
    ruleset.install([]);
    const before = listing();
    const good: RulesetItem = { kind: 'element', set: 'cluster_ips4', key: '10.96.0.1' };
    const bad: RulesetItem = { kind: 'element', set: 'sctp_local4', key: '10.96.0.1 . 80', verdict: { chain: 'nowhere' } };
    assert.throws(() => ruleset.change({ add: [good, bad], replace: [], remove: [] }), /^Error: Cannot run nft commands: .*No such file/s);
    assert.equal(listing(), before);
  });
});

test('invalid packets are dropped unless conntrack is liberal, resets only if it is loose', kernel, () => {
  inScratchNetns(() => {
    const ruleset = createRuleset(OPTIONS, () => {});
    const rulesWhere = (name: string, value: 0 | 1): string[] => {
      run('sh', '-c', `echo ${value} >/proc/sys/net/netfilter/nf_conntrack_tcp_${name}`);
      ruleset.install([]);
      return listing().match(/ct state invalid (meta l4proto|tcp flags)/g) ?? [];
    };
    const [forward, resets] = ['ct state invalid meta l4proto', 'ct state invalid tcp flags'];
    assert.deepEqual(rulesWhere('loose', 1).sort(), [forward, resets]);
    assert.deepEqual(rulesWhere('loose', 0), [forward]);
    assert.deepEqual(rulesWhere('be_liberal', 1), []);
    assert.deepEqual(rulesWhere('loose', 1), []);
  });
});
