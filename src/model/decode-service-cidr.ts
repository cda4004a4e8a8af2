import { parseApiPrefix } from './address-fields.ts';
import { child, type LocatedFields, texts, wrong } from './fields.ts';
import { readMetadata } from './metadata.ts';
import type { ServiceCIDR } from './service-cidr.ts';

/** networking.k8s.io ServiceCIDR. Errors go into the report of `object`, see decodeService. */
export function decodeServiceCIDR(object: LocatedFields): ServiceCIDR {
  const { name } = readMetadata(object, 'ServiceCIDR');
  const spec = child(object, 'spec');
  const cidrs = texts(spec, 'cidrs').flatMap((value, i) => {
    const prefix = parseApiPrefix(value);
    if (prefix === undefined) wrong(spec, `cidrs[${i}]`, value, 'a network such as 10.96.0.0/16');
    return prefix ?? [];
  });
  return { name, cidrs };
}
