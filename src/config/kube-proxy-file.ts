import { failure, type Result, success } from '#lib/result.ts';
import { parseYaml } from '#lib/yaml.ts';
import type { Given, GivenSettings } from './flags.ts';
import { HONOURED, reasonWithoutEffect } from './kube-proxy-fields.ts';

/** The settings of a configuration file, by the names of the flags. */
export interface FileSettings {
  readonly settings: GivenSettings;
  /** One sentence for each set field without effect. */
  readonly warnings: readonly string[];
}

const API_VERSION = 'kubeproxy.config.k8s.io/v1alpha1';

/** Reads kube-proxy's configuration file. `name` is for messages. */
export function readConfigFile(name: string, text: string): Result<FileSettings> {
  const parsed = parseYaml(text);
  if (!parsed.ok) return failure(`${name} does not parse: line ${parsed.line}: ${parsed.reason}`);
  const [content] = parsed.values;
  if (parsed.values.length !== 1 || !isRecord(content) || content.kind !== 'KubeProxyConfiguration')
    return failure(`${name} should hold one KubeProxyConfiguration of ${API_VERSION}`);
  const { apiVersion, kind: _kind, ...fields } = content;
  if (apiVersion !== API_VERSION) return failure(`${name}: apiVersion is "${apiVersion}", must be ${API_VERSION}`);
  return readFields(name, fields);
}

function readFields(name: string, fields: Record<string, unknown>): Result<FileSettings> {
  const settings = new Map<string, Given>();
  const warnings: string[] = [];
  const errors: string[] = [];
  for (const [field, value] of leaves(fields)) {
    const setting = HONOURED[field];
    const reason = reasonWithoutEffect(field, fields.mode);
    if (reason !== undefined && !isZero(value)) warnings.push(`${field} in ${name} has no effect: ${reason}`);
    else if (setting !== undefined && reason === undefined) settings.set(setting, { text: String(value), from: `${field} in ${name}` });
    else if (setting === undefined && reason === undefined)
      errors.push(`${name} has the field ${field}, which kube-proxy's v1alpha1 does not have`);
  }
  return errors.length > 0 ? failure(...errors) : success({ settings, warnings });
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Set fields, as `group.field`. */
function leaves(fields: Record<string, unknown>, path = ''): [string, unknown][] {
  return Object.entries(fields).flatMap(([key, value]): [string, unknown][] => {
    if (isRecord(value) && path === '') return leaves(value, `${key}.`);
    return isUnset(value) ? [] : [[path + key, value]];
  });
}

/** kubeadm writes empty values for unset fields. */
const isUnset = (value: unknown): boolean =>
  value === null || value === undefined || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);

/** A zero value in the file causes no warning. */
const isZero = (value: unknown): boolean =>
  [0, false, '0', '0s'].some((zero) => value === zero) || isUnset(value) || (isRecord(value) && Object.values(value).every(isZero));
