import { networkOrWarning } from './address-fields.ts';
import { child, type LocatedFields, texts } from './fields.ts';
import { readMetadata } from './metadata.ts';
import type { ServiceCIDR } from './service-cidr.ts';

/** networking.k8s.io ServiceCIDR. Errors go into the report of `object`, see decodeService. */
export function decodeServiceCIDR(object: LocatedFields): ServiceCIDR {
  const { name } = readMetadata(object, 'ServiceCIDR');
  const spec = child(object, 'spec');
  return { name, cidrs: texts(spec, 'cidrs').flatMap((value, i) => networkOrWarning(spec, `cidrs[${i}]`, value) ?? []) };
}
