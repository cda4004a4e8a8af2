/** Protocol errors of a KPNG server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addresses, next, startSourceWithCart } from './running-source.ts';
import { endpoint, remove, type ScriptedServer, service, set } from './scripted-server.ts';

/** Protocol errors, each with the problem that the source reports. */
const MISTAKES: readonly (readonly [what: string, say: (server: ScriptedServer) => void, line: RegExp])[] = [
  [
    'an unknown set',
    (server) => server.send({ Set: { Ref: { Set: 77, Path: 'a' }, Bytes: '' } }),
    /^kpng_mistake: The KPNG server SERVER sets a in set 77, which \/localv1.Sets\/Watch does not have: it is left out$/,
  ],
  [
    'a set of the other stream',
    (server) => server.send({ Set: { Ref: { Set: 'GlobalServiceInfos', Path: 'shop|x||' }, Bytes: '' } }),
    /^kpng_mistake: .* in set 10, which/,
  ],
  [
    'deletes of unknown objects',
    (server) => server.send(...Array.from({ length: 50 }, (_, n) => remove('EndpointsSet', `shop/cart/x${n}`))),
    /^kpng_mistake: The KPNG server SERVER deletes shop\/cart\/x0, which it never set$/,
  ],
  ['an unknown operation', (server) => server.sendBytes(Buffer.from([0x2a, 0])), /^kpng_mistake: .* an operation that is neither/],
  [
    'a Service in the set of endpoints',
    (server) => server.send(set('EndpointsSet', 'shop/cart/c9', 'localv1.Service', { Namespace: 'shop', Name: 'cart' })),
    /^invalid_object: Endpoint shop\/cart\/c9: its bytes cannot be decoded: .*; it is left out$/,
  ],
  [
    'an endpoint in the set of Services',
    (server) => server.send(set('ServicesSet', 'shop/x', 'localv1.Endpoint', { Hostname: 'x', IPs: { V4: ['10.0.0.1'] } })),
    /^invalid_object: Service shop\/x: its message describes "x\/.*", must describe the Service of its path; it is left out$/,
  ],
  [
    'undecodable bytes',
    (server) => server.send({ Set: { Ref: { Set: 'ServicesSet', Path: 'shop/cart' }, Bytes: 'Cv8=' } }),
    /^invalid_object: Service shop\/cart: its bytes cannot be decoded: .*; its last good version stays in force$/,
  ],
  [
    'an invalid address',
    (server) => server.send(endpoint('cart', 'c1', '10.0.0.300')),
    /^invalid_object: Endpoint shop\/cart\/c1: endpoints\[0\]\.addresses\[0\] is "10.0.0.300", must be an IPv4 address; its last good version stays/,
  ],
  [
    'an invalid port',
    (server) => server.send(service('cart', { Ports: [{ Name: 'http', Protocol: 'TCP', Port: 70000 }] })),
    /^invalid_object: Service shop\/cart: spec.ports\[0\].port is 70000, must be 1 to 65535; its last good version stays in force$/,
  ],
  [
    'a missing protocol',
    (server) => server.send(service('cart', { Ports: [{ Name: 'http', Port: 80 }] })),
    /spec.ports\[0\].protocol is "UnknownProtocol", must be TCP, UDP or SCTP/,
  ],
  ['a Service with MapIP', (server) => server.send(service('cart', { MapIP: true })), /MapIP is true, must be false/],
  [
    'an endpoint whose path names no Service',
    (server) => server.send(set('EndpointsSet', 'c1', 'localv1.Endpoint', {})),
    /its path must be NAMESPACE\/SERVICE\/KEY/,
  ],
];

for (const [what, say, line] of MISTAKES)
  test(`${what}: one problem is reported, and the rest of the change set is applied`, async () => {
    const running = await startSourceWithCart();
    say(running.server);
    running.server.send(endpoint('cart', 'c3', '10.0.0.3'));
    await next(running);
    assert.deepEqual(addresses(running), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    assert.equal(running.problems.length, 1, running.problems.join('\n'));
    assert.match(running.problems[0] ?? '', line);
    assert.equal(running.server.connections, 1);
  });
