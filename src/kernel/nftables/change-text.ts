import { formatPrefix } from '#lib/address.ts';
import type { RulesetChain, RulesetChange, RulesetElement, RulesetItem, RulesetRule, RulesetVerdict } from '#reconcile/ports/ruleset.ts';

/** Commands of one transaction; nft follows their order, so nothing is named before it exists or removed while it is used. */
export function changeText({ add, replace, remove }: RulesetChange): string {
  const chains = (items: readonly RulesetItem[]) => items.filter((item) => item.kind === 'chain');
  const memories = (items: readonly RulesetItem[]) => items.filter((item) => item.kind === 'memory');
  const written = [...chains(add), ...chains(replace)];
  return [
    ...memories(add).map(({ name, family }) => `add set inet weir ${name} { type ipv${family}_addr; flags dynamic,timeout; }`),
    ...chains(add).map(({ name }) => `add chain inet weir ${name}`),
    ...[...chains(replace), ...chains(remove)].map(({ name }) => `flush chain inet weir ${name}`),
    ...elementCommands('delete', [...replace, ...remove], (element) => element.key),
    ...written.flatMap((chain) =>
      chain.rules.flatMap((rule) => ruleTexts(rule, chain)).map((text) => `add rule inet weir ${chain.name} ${text}`),
    ),
    ...elementCommands('add', [...add, ...replace], elementText),
    ...memories(remove).map(({ name }) => `delete set inet weir ${name}`),
    ...chains(remove).map(({ name }) => `delete chain inet weir ${name}`),
  ].join('\n');
}

function elementCommands(verb: 'add' | 'delete', items: readonly RulesetItem[], text: (element: RulesetElement) => string): string[] {
  const bySet = new Map<string, string[]>();
  for (const item of items) {
    if (item.kind !== 'element') continue;
    const texts = bySet.get(item.set);
    if (texts === undefined) bySet.set(item.set, [text(item)]);
    else texts.push(text(item));
  }
  return [...bySet].map(([set, texts]) => `${verb} element inet weir ${set} { ${texts.join(', ')} }`);
}

const elementText = ({ key, verdict, comment }: RulesetElement): string =>
  [key, comment === undefined ? '' : `comment "${commentText(comment)}"`, verdict === undefined ? '' : `: ${verdictText(verdict)}`]
    .filter((part) => part !== '')
    .join(' ');

const VERDICT_TEXTS = { drop: 'drop', accept: 'accept', refuse: 'goto refuse', masquerade: 'goto sctp_masquerade' };

const verdictText = (verdict: RulesetVerdict): string => (typeof verdict === 'object' ? `goto ${verdict.chain}` : VERDICT_TEXTS[verdict]);

/** nft takes 128 bytes, the zero at the end included, and no quotation marks. */
const commentText = (text: string): string => text.replace(/[^ -~]|["\\]/g, '?').slice(0, 127);

/** Without one the kernel draws another for each rule, and again when the table is replaced. */
const SEED = 'seed 0x77656972';

function ruleTexts(rule: RulesetRule, { family }: RulesetChain): readonly string[] {
  const ip = family === 4 ? 'ip' : 'ip6';
  switch (rule.kind) {
    case 'translate': {
      const places = rule.backends.map(({ address, port }, i) => `${i} : ${address} . ${port}`);
      const number = rule.by === 'chance' ? `numgen random mod ${places.length}` : `jhash ${ip} saddr mod ${places.length} ${SEED}`;
      return [`meta l4proto sctp dnat ${ip} to ${number} map { ${places.join(', ')} }`];
    }
    case 'choose':
      return [`numgen random mod ${rule.chains.length} vmap { ${rule.chains.map((chain, i) => `${i} : goto ${chain}`).join(', ')} }`];
    case 'recall':
      return [`${ip} saddr @${rule.memory} goto ${rule.chain}`];
    case 'remember':
      return [`update @${rule.memory} { ${ip} saddr timeout ${rule.seconds}s }`];
    case 'admit':
      return [...rule.prefixes.map((prefix) => `${ip} saddr ${formatPrefix(prefix)} return`), 'counter drop'];
  }
}
