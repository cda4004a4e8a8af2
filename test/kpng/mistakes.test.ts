/** What a KPNG server should not say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addresses, followedCart, next } from './followed.ts';
import { endpoint, type OtherServer, remove, service, set } from './other-server.ts';

/** What a server should not say, each with the one line that follows. */
const MISTAKES: readonly (readonly [what: string, say: (server: OtherServer) => void, line: RegExp])[] = [
  [
    'a set that nobody knows',
    (server) => server.say({ Set: { Ref: { Set: 77, Path: 'a' }, Bytes: '' } }),
    /^kpng_mistake: The KPNG server SERVER sets a in set 77, which \/localv1.Sets\/Watch does not have: it is left out$/,
  ],
  [
    'a set of the other stream',
    (server) => server.say({ Set: { Ref: { Set: 'GlobalServiceInfos', Path: 'shop|x||' }, Bytes: '' } }),
    /^kpng_mistake: .* in set 10, which/,
  ],
  [
    'the end of what was never there',
    (server) => server.say(...Array.from({ length: 50 }, (_, n) => remove('EndpointsSet', `shop/cart/x${n}`))),
    /^kpng_mistake: The KPNG server SERVER deletes shop\/cart\/x0, which it never set$/,
  ],
  ['an operation that nobody knows', (server) => server.sayBytes(Buffer.from([0x2a, 0])), /^kpng_mistake: .* an operation that is neither/],
  [
    'a Service where an endpoint should be',
    (server) => server.say(set('EndpointsSet', 'shop/cart/c9', 'localv1.Service', { Namespace: 'shop', Name: 'cart' })),
    /^invalid_object: Endpoint shop\/cart\/c9: its bytes cannot be decoded: .*; it is left out$/,
  ],
  [
    'an endpoint where a Service should be',
    (server) => server.say(set('ServicesSet', 'shop/x', 'localv1.Endpoint', { Hostname: 'x', IPs: { V4: ['10.0.0.1'] } })),
    /^invalid_object: Service shop\/x: its message describes "x\/.*", must describe the Service of its path; it is left out$/,
  ],
  [
    'bytes that are no message',
    (server) => server.say({ Set: { Ref: { Set: 'ServicesSet', Path: 'shop/cart' }, Bytes: 'Cv8=' } }),
    /^invalid_object: Service shop\/cart: its bytes cannot be decoded: .*; its last good version stays in force$/,
  ],
  [
    'an address that is none',
    (server) => server.say(endpoint('cart', 'c1', '10.0.0.300')),
    /^invalid_object: Endpoint shop\/cart\/c1: endpoints\[0\]\.addresses\[0\] is "10.0.0.300", must be an IPv4 address; its last good version stays/,
  ],
  [
    'a port that is none',
    (server) => server.say(service('cart', { Ports: [{ Name: 'http', Protocol: 'TCP', Port: 70000 }] })),
    /^invalid_object: Service shop\/cart: spec.ports\[0\].port is 70000, must be 1 to 65535; its last good version stays in force$/,
  ],
  [
    'a protocol that is none',
    (server) => server.say(service('cart', { Ports: [{ Name: 'http', Port: 80 }] })),
    /spec.ports\[0\].protocol is "UnknownProtocol", must be TCP, UDP or SCTP/,
  ],
  ['whole addresses', (server) => server.say(service('cart', { MapIP: true })), /MapIP is true, must be false/],
  [
    'an endpoint of no Service',
    (server) => server.say(set('EndpointsSet', 'c1', 'localv1.Endpoint', {})),
    /its path must be NAMESPACE\/SERVICE\/KEY/,
  ],
];

for (const [what, say, line] of MISTAKES)
  test(`${what} is one line, and the rest of the change set counts`, async () => {
    const all = await followedCart();
    say(all.server);
    all.server.say(endpoint('cart', 'c3', '10.0.0.3'));
    await next(all);
    assert.deepEqual(addresses(all), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    assert.equal(all.problems.length, 1, all.problems.join('\n'));
    assert.match(all.problems[0] ?? '', line);
    assert.equal(all.server.connections, 1);
  });
