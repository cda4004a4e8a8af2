import { decodeObject } from '#model/decode.ts';

/** An EndpointSlice of Service `shop/cart`, as the API server writes it. */
export const sliceDocument = (fields: object): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'cart-x7k2p', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'cart' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.180.0.1'] }],
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  ...fields,
});

/** The decoded object of a document. Throws if the document is invalid or ignored. */
export function decodedAs<T>(document: object): T {
  const decoded = decodeObject(document);
  if (decoded.type !== 'object') throw new Error(`Test document must decode: ${JSON.stringify(decoded)}`);
  return decoded.object.value as T;
}
