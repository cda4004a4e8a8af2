import { spawnSync } from 'node:child_process';
import { runNft } from '../nftables/libnftables.ts';
import { markWrites, type NftRule } from '../nftables/mark-writes.ts';
import { readText } from '../node/read-text.ts';
import { degraded, type Finding, fine, probed } from './finding.ts';

/** Bit of ct->mark on flows of weir, unless --conntrack-mark names another. */
const MARK = 0x2000;
/** The same with the bit of --masquerade-mark. */
const MARKS = 0x3000;
/** Tables that are not read after this time, ms, are named instead: the rules of other software may be many. */
const TIME_LIMIT_MS = 10_000;
/** More lines than this are counted instead. */
const MOST_LINES = 20;

interface NftTable {
  readonly family: string;
  readonly name: string;
}

/** A base chain has a hook and a policy. */
interface NftChain extends NftTable {
  readonly table: string;
  readonly hook?: string;
  readonly policy?: string;
}

interface NftObjects {
  readonly nftables: readonly { readonly table?: NftTable; readonly chain?: NftChain; readonly rule?: NftRule }[];
}

const NO_NFT = { consequence: 'unknown', remedy: 'install libnftables1' };

/** Rules of other software that stop or confuse what weir does to packets. */
export const probeRuleset = (): Finding[] => [probeForwardPolicy(), probeMarks()];

const listed = (command: string): NftObjects => JSON.parse(runNft(command, 'terse') || '{"nftables":[]}') as NftObjects;

const isOurs = ({ family, table }: { readonly family: string; readonly table: string }): boolean => family === 'inet' && table === 'weir';

function probeForwardPolicy(): Finding {
  const name = 'policy of forward chains';
  return probed(name, NO_NFT, () => {
    const found = listed('list chains').nftables.flatMap(({ chain }) =>
      chain?.hook === 'forward' && chain.policy === 'drop' && !isOurs(chain)
        ? [`chain ${chain.name} in table ${chain.family} ${chain.table}`]
        : [],
    );
    found.push(...legacyForwardDrops());
    if (found.length === 0) return fine(name, 'none drops');
    return degraded(name, `drop in ${found.join(', ')}`, {
      consequence:
        "packets to Services of other nodes' pods are dropped unless a rule accepts them, as kube-proxy's chain KUBE-FORWARD did",
      remedy: `accept translated flows there: iptables -I FORWARD -m connmark --mark 0x${MARK.toString(16)}/0x${MARK.toString(16)} -j ACCEPT, ip6tables alike`,
    });
  });
}

/** Asked only where the old tables are in use: asking would load them. */
const legacyForwardDrops = (): string[] =>
  (['ip', 'ip6'] as const).flatMap((ip) => {
    if (!readText(`/proc/net/${ip}_tables_names`).split('\n').includes('filter')) return [];
    const { stdout } = spawnSync(`${ip}tables-legacy-save`, ['-t', 'filter'], { encoding: 'utf8', timeout: TIME_LIMIT_MS });
    return stdout?.includes(':FORWARD DROP ') ? [`chain FORWARD in ${ip}tables-legacy, table filter`] : [];
  });

function probeMarks(): Finding {
  const name = 'rules that write marks';
  return probed(name, NO_NFT, () => {
    const { writes, unread } = readMarkWrites();
    const more = writes.length > MOST_LINES ? [`${writes.length - MOST_LINES} more`] : [];
    const found = [...writes.slice(0, MOST_LINES), ...more, ...unread.map((table) => `${table} not read: the time was over`)];
    if (found.length === 0) return fine(name, `none changes bits 0x${MARKS.toString(16)} of ct mark`);
    return degraded(name, found.join('; '), {
      consequence: `they can erase or forge weir's bits 0x${MARKS.toString(16)}: flows keep their source, or are taken for weir's or not`,
      remedy: 'write these marks with a mask that leaves these bits, or give weir other bits with --conntrack-mark and --masquerade-mark',
    });
  });
}

/** Reads table by table, without the elements of sets. */
function readMarkWrites(): { readonly writes: readonly string[]; readonly unread: readonly string[] } {
  const writes: string[] = [];
  const unread: string[] = [];
  const end = performance.now() + TIME_LIMIT_MS;
  for (const { table } of listed('list tables').nftables) {
    if (table === undefined || isOurs({ ...table, table: table.name })) continue;
    const what = `table ${table.family} ${table.name}`;
    if (performance.now() > end) unread.push(what);
    else for (const { rule } of listed(`list ${what}`).nftables) if (rule !== undefined) writes.push(...writesOf(rule));
  }
  return { writes, unread };
}

/** kube-proxy sets bits of its own only, and its chains are a finding of their own. */
const writesOf = (rule: NftRule): string[] =>
  rule.chain.startsWith('KUBE-')
    ? []
    : markWrites(rule, MARKS).map((text) => `${text} in table ${rule.family} ${rule.table}, chain ${rule.chain}, handle ${rule.handle}`);
