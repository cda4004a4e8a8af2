/** An expression of nft's JSON output (libnftables-json(5)). */
export type NftExpression = number | string | null | readonly NftExpression[] | { readonly [key: string]: NftExpression };

/** A rule of nft's JSON output. */
export interface NftRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly expr: readonly NftExpression[];
}

/** Texts of the statements of a rule that change one of these bits of the flow's mark, or may change it: `ct mark set 0x1`. */
export const markWrites = (rule: NftRule, bits: number): string[] => rule.expr.flatMap((statement) => markWrite(statement, bits));

function markWrite(statement: NftExpression, bits: number): string[] {
  if (!isObject(statement)) return [];
  const { mangle, xt } = statement;
  const target = isObject(xt) && xt.type === 'target' ? xt.name : undefined;
  // nft shows no more than the name of a target of iptables
  if (target === 'CONNMARK') return [`iptables target ${target}`];
  if (!isObject(mangle)) return [];
  const { key = null, value = null } = mangle;
  return !isMark(key, 'ct') || (keptBits(value) & bits) === bits ? [] : [`ct mark set ${text(value)}`];
}

/** Bits of the flow's mark that keep their value when this value is written to it. */
function keptBits(value: NftExpression): number {
  if (isMark(value, 'ct')) return 0xffffffff;
  const [operator, operands] = isObject(value) ? (Object.entries(value)[0] ?? []) : [];
  if (!Array.isArray(operands) || typeof operands[1] !== 'number') return 0;
  const kept = keptBits(operands[0] ?? null);
  if (operator === '&') return kept & operands[1];
  return operator === '|' || operator === '^' ? kept & ~operands[1] : 0;
}

const isObject = (value: NftExpression | undefined): value is { readonly [key: string]: NftExpression } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `of`: what the mark belongs to, a packet or a conntrack entry. */
const isMark = (value: NftExpression, of: 'meta' | 'ct'): boolean => {
  const inner = isObject(value) ? value[of] : undefined;
  return isObject(inner) && inner.key === 'mark';
};

/** As in nft's language, where that is short. */
function text(value: NftExpression): string {
  if (typeof value === 'number') return `0x${value.toString(16)}`;
  if (isMark(value, 'meta')) return 'meta mark';
  if (isMark(value, 'ct')) return 'ct mark';
  const [operator = '', operands] = isObject(value) ? (Object.entries(value)[0] ?? []) : [];
  return Array.isArray(operands) ? operands.map(text).join(` ${operator} `) : JSON.stringify(value);
}
