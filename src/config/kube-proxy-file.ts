import { failure, type Result, success } from '#lib/result.ts';
import { parseYaml11 } from '#lib/yaml.ts';
import type { Given, GivenSettings } from './flags.ts';
import { HONOURED, isField, isGroup, reasonWithoutEffect } from './kube-proxy-fields.ts';

/** The settings of a configuration file, by the names of the flags. */
export interface FileSettings {
  readonly settings: GivenSettings;
  /** One sentence for each part of the file without effect. */
  readonly warnings: readonly string[];
}

const KIND = 'KubeProxyConfiguration';
const API_VERSION = 'kubeproxy.config.k8s.io/v1alpha1';

/**
 * Reads kube-proxy's configuration file as leniently as kube-proxy (cmd/kube-proxy/app/options.go, loadConfig): unknown and repeated fields
 * and further documents give a warning each. `name` is for messages.
 */
export function readConfigFile(name: string, text: string): Result<FileSettings> {
  const parsed = parseYaml11(text);
  if (!parsed.ok) return failure(`${name} does not parse: line ${parsed.line}: ${parsed.reason}`);
  const { values, repeatedAt } = parsed;
  const [content] = values;
  if (!isRecord(content) || content.kind !== KIND) return failure(`${name} should hold a ${KIND} of ${API_VERSION}`);
  const { apiVersion, kind: _kind, ...fields } = content;
  if (apiVersion !== API_VERSION) return failure(`${name}: apiVersion is "${apiVersion}", must be ${API_VERSION}`);
  const warnings: string[] = [];
  if (repeatedAt !== undefined)
    warnings.push(`${name} repeats a field in line ${repeatedAt}: of the fields with one name the last one counts`);
  if (values.length > 1) warnings.push(`${name} holds ${values.length} documents: kube-proxy and weir read the first one only`);
  return readFields(name, fields, warnings);
}

function readFields(name: string, fields: Record<string, unknown>, warnings: string[]): Result<FileSettings> {
  const settings = new Map<string, Given>();
  const errors: string[] = [];
  for (const [field, value] of leaves(fields)) {
    const from = `${field} in ${name}`;
    const setting = HONOURED[field];
    const reason = isField(field) ? reasonWithoutEffect(field, fields.mode) : "kube-proxy's v1alpha1 has no such field";
    if (isGroup(field)) errors.push(`${from} is "${value}", must be a mapping of fields`);
    else if (reason !== undefined) warnings.push(...(isField(field) && isZero(value) ? [] : [`${from} has no effect: ${reason}`]));
    else if (isRecord(value)) errors.push(`${from} is a mapping, must be a value`);
    else if (setting !== undefined) settings.set(setting, { text: String(value), from });
  }
  return errors.length > 0 ? failure(...errors) : success({ settings, warnings });
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Set fields; a field of a group as `group.field`. */
function leaves(fields: Record<string, unknown>, path = ''): [string, unknown][] {
  return Object.entries(fields).flatMap(([key, value]): [string, unknown][] => {
    if (isRecord(value) && path === '' && isGroup(key)) return leaves(value, `${key}.`);
    return isUnset(value) ? [] : [[path + key, value]];
  });
}

/** kubeadm writes empty values for unset fields. */
const isUnset = (value: unknown): boolean =>
  value === null || value === undefined || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

/** A zero value in the file causes no warning. */
const isZero = (value: unknown): boolean =>
  [0, false, '0', '0s'].some((zero) => value === zero) || isUnset(value) || (isRecord(value) && Object.values(value).every(isZero));
