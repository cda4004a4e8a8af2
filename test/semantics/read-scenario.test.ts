import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseScenario } from './read-scenario.ts';
import { answerText, questionText, type Scenario } from './scenario.ts';

const WEB = `
services:
  web:
    spec: { type: LoadBalancer, clusterIP: 172.30.0.41, loadBalancerSourceRanges: [' 203.0.113.0/25'], ports: [{ port: 80, targetPort: 8080 }] }
    status: { loadBalancer: { ingress: [{ ip: 5.6.7.8, ipMode: VIP }] } }
    endpoints: [a1, b1 terminating zone=x]
`;

const linesOf = ({ steps }: Scenario): string[] =>
  steps.flatMap(({ questions }) => questions.map((question) => `${questionText(question)}: ${answerText(question.answer)}`));

// biome-ignore lint/suspicious/noExplicitAny: objects as the API prints them
const objectsOf = (scenario: Scenario, step = 0): any[] => [...(scenario.steps[step]?.manifests ?? [])];

test('a line makes questions for both families, and for both ways of a pod', () => {
  const scenario = parseScenario('s', 'expect: ["a1 -> 172.30.0.41:80/udp: a1:8080 as n1, b1", "outside -> 192.168.0.3:30080: refused"]');
  assert.deepEqual(linesOf(scenario), [
    'a1 -> 172.30.0.41:80/udp via sockets by n1: a1:8080 as 192.168.0.2, b1 as 10.180.0.1',
    'a1 -> 172.30.0.41:80/udp via packets by n1: a1:8080 as 192.168.0.2, b1 as 10.180.0.1',
    'a1 -> [fd00::ac1e:29]:80/udp via sockets by n1: a1:8080 as fd00::c0a8:2, b1 as fd00::ab4:1',
    'a1 -> [fd00::ac1e:29]:80/udp via packets by n1: a1:8080 as fd00::c0a8:2, b1 as fd00::ab4:1',
    'outside -> 192.168.0.3:30080/tcp via packets by n2: refused',
    'outside -> [fd00::c0a8:3]:30080/tcp via packets by n2: refused',
  ]);
});

test('IPv4 addresses get twins, in the Service and in a separate slice', () => {
  const objects = objectsOf(parseScenario('s', WEB));
  const { spec, status } = objects.find(({ kind }) => kind === 'Service');
  assert.deepEqual(spec.clusterIPs, ['172.30.0.41', 'fd00::ac1e:29']);
  assert.deepEqual(spec.loadBalancerSourceRanges, [' 203.0.113.0/25', ' fd00::cb00:7100/121']);
  assert.deepEqual(status.loadBalancer.ingress[1], { ip: 'fd00::506:708', ipMode: 'VIP' });
  const [four, six] = objects.filter(({ kind }) => kind === 'EndpointSlice');
  assert.deepEqual([four.addressType, four.endpoints[0].addresses], ['IPv4', ['10.180.0.1']]);
  assert.deepEqual([six.addressType, six.endpoints[1].addresses], ['IPv6', ['fd00::ab4:101']]);
  assert.deepEqual(six.ports, [{ name: undefined, protocol: undefined, port: 8080 }]);
  assert.deepEqual(six.endpoints[1].conditions, { ready: false, serving: true, terminating: true });
  assert.deepEqual(six.endpoints[1].hints, { forZones: [{ name: 'x' }] });
});

test('with one family objects stay as in the file', () => {
  const scenario = parseScenario('s', `families: [4]\n${WEB}expect: ['n1 -> 5.6.7.8:80: dropped', 'n1 -> fd00::1:80: refused']`);
  assert.equal(objectsOf(scenario).filter(({ kind }) => kind === 'EndpointSlice').length, 1);
  assert.deepEqual(linesOf(scenario), [
    'n1 -> 5.6.7.8:80/tcp via sockets by n1: dropped',
    'n1 -> [fd00::1]:80/tcp via sockets by n1: refused',
  ]);
});

test('a later step keeps fields that it omits, and null deletes an object', () => {
  const scenario = parseScenario('s', `${WEB}then: [{ services: { web: { endpoints: [] } } }, { services: { web: null } }]`);
  const kinds = [0, 1, 2].map((step) => objectsOf(scenario, step).map(({ kind }) => kind));
  assert.deepEqual(kinds[1], kinds[0]);
  assert.deepEqual(kinds[2], ['Node', 'Node']);
  assert.deepEqual(objectsOf(scenario, 1).find(({ kind }) => kind === 'EndpointSlice').endpoints, []);
});

test('ranges in flags of the agent get twins; the ranges of Services are always set', () => {
  const { agent } = parseScenario('s', 'agent: [--cluster-cidr=10.0.0.0/8, "--nodeport-addresses=primary,0.0.0.0/0"]');
  assert.deepEqual(agent, [
    '--cluster-cidr=10.0.0.0/8,fd00::a00:0/104',
    '--nodeport-addresses=primary,0.0.0.0/0,::/0',
    '--service-cidr=172.30.0.0/16,fd00::ac1e:0/112',
  ]);
});

const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  [
    'a line',
    'then:\n  - expect:\n      - a1 -> 172.30.0.41:80: a9',
    /s: step 2: line 3 "a1 -> 172.30.0.41:80: a9": Name is a9, must be one of n1,/,
  ],
  ['the syntax of a line', 'expect: [a1 to b1]', /step 1: line 1 "a1 to b1": The line must be FROM -> ADDRESS:PORT/],
  ['a way', "expect: ['n1 -> 1.2.3.4:80 via packets: a1']", /n1 dials via packets, must be via sockets/],
  ['a key', 'service: {}', /Key is "service", must be one of covers, /],
  ['a key of an object', 'services: { web: { port: 80 } }', /services: web: Key is "port", must be one of labels, /],
  ['an endpoint', 'services: { web: { endpoints: [a1 leaving] } }', /Endpoint a1 is leaving, must be ready, unready, terminating, gone/],
  ['an object', 'services: { web: { spec: { clusterIP: x, ports: [{ port: 80 }] } } }', /Service t\/web: spec.clusterIPs\[0\] is "x"/],
  ['a deletion', 'services: { web: null }', /services: web is deleted, must exist/],
  ['YAML', 'a: [', /s: line \d+: /],
];

for (const [what, text, message] of MISTAKES)
  test(`an error in ${what} names its step and line`, () => {
    assert.throws(() => parseScenario('s', text), message);
  });
