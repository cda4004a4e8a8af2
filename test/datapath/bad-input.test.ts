/** Bad manifests beside good ones, seen from the agent: one clear line each, the last good state stays, everything else goes on. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, before, test } from 'node:test';
import { manifestsDir } from '#lab/paths.ts';
import { raise, weir } from './ground.ts';
import { CLIENT, clusterIP, FAMILIES, type Family, numbered, type PodSpec, podAddress, service, slice, slices } from './objects.ts';
import { answer, assertPaths, type Path, tcp, udp, until, untilAnsweredBy } from './paths.ts';

const [P1, P2]: readonly [PodSpec, PodSpec] = [
  { name: 'p1', node: 'n1' },
  { name: 'p2', node: 'n1' },
];
const [GOOD, OTHER, NEXT] = [1, 2, 3];

const lab = await raise('b', { nodes: ['n1'], pods: [P1, P2, CLIENT], objects: [numbered('good', GOOD), ...answered('good', P1)] });
const dir = manifestsDir(lab.topology.name);

before(async () => {
  // An empty file is believed to be meant only when it stays so for a while.
  write('empty.yaml', '');
  lab.writeManifest('other.json', [numbered('other', OTHER), ...answered('other', P1)]);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(OTHER), 80), 'p1');
});

function answered(of: string, pod: PodSpec): object[] {
  return slices({ of, pods: [pod] });
}

/** Writes a file as an editor would that knows nothing of Kubernetes. */
function write(file: string, text: string): void {
  writeFileSync(join(dir, file), text);
}

const log = (): string => lab.agent('n1').log;

/** What the agent has said about something, without time and level. */
const said = (about: RegExp): string[] =>
  log()
    .split('\n')
    .filter((line) => /(WARN|ERROR)/.test(line) && about.test(line))
    .map((line) => line.replace(/^\S+ \S+ +/, ''));

/** Waits for the one line about something, and checks its words. */
async function assertOneLine(about: RegExp, words: RegExp): Promise<void> {
  await until(`the agent speaks of ${about}`, () => said(about).length > 0);
  assert.equal(said(about).length, 1, said(about).join('\n'));
  assert.match(said(about)[0] ?? '', words);
}

const good = (family: Family): Path[] => [
  ['t/p9', tcp(clusterIP(GOOD, family), 80), answer(podAddress(CLIENT, family), 'p1')],
  ['t/p9', udp(clusterIP(OTHER, family), 80), answer(podAddress(CLIENT, family), 'p1')],
];

/** A file that changes after the bad one: when it is in force, the bad one has been read, too. */
async function assertLifeGoesOn(pod: PodSpec): Promise<void> {
  lab.writeManifest('next.json', [numbered('next', NEXT), ...answered('next', pod)]);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(NEXT), 80), pod?.name ?? '');
  await assertPaths(lab, FAMILIES.flatMap(good));
}

let turn = 0;
afterEach(() => assertLifeGoesOn(turn++ % 2 ? P1 : P2));

test('a file that does not parse is named with the place of the mistake', async () => {
  write('broken.yaml', 'apiVersion: v1\nkind: Service\nmetadata: {name: a\n');
  await assertOneLine(/broken\.yaml/, /broken\.yaml.*(line|\d:\d)/);
});

test('a file that breaks keeps its last good state in force until it is mended', async () => {
  write('other.json', '{"kind": "List", "items": [');
  await assertOneLine(/other\.json/, /stay|force|last/);
  await assertPaths(lab, FAMILIES.flatMap(good));
  lab.writeManifest('other.json', [numbered('other', OTHER), ...answered('other', P2)]);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(OTHER), 80), 'p2');
  lab.writeManifest('other.json', [numbered('other', OTHER), ...answered('other', P1)]);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(OTHER), 80), 'p1');
});

test('a Service with an impossible port is named with the field [bad-input]', async () => {
  const ports = [{ name: 'tcp', protocol: 'TCP', port: 70_000 } as const];
  lab.writeManifest('port.json', [
    service({ name: 'high', clusterIPs: [clusterIP(20)], ports }),
    numbered('fine', 21),
    ...answered('fine', P1),
  ]);
  await assertOneLine(/t\/high/, /port.*70000/);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(21), 80), 'p1');
});

test('a Service that gets one bad port among good ones stays as it was, whole, until it is mended [bad-input]', async () => {
  const ports = (...more: object[]) => [{ name: 'tcp', protocol: 'TCP', port: 80 }, ...more] as Parameters<typeof service>[0]['ports'];
  const half = (list: ReturnType<typeof ports>, spec: object = {}): object[] => [
    service({ name: 'half', clusterIPs: [clusterIP(26)], ports: list, spec }),
    ...answered('half', P1),
  ];
  lab.writeManifest('half.json', half(ports()));
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(26), 80), 'p1');
  const external = { externalIPs: ['198.51.100.26'] };
  lab.writeManifest(
    'half.json',
    half(ports({ name: 'udp', protocol: 'UDP', port: 81 }, { name: 'bad', protocol: 'TCP', port: 0 }), external),
  );
  await assertOneLine(/t\/half/, /spec\.ports\[2\]\.port is 0, must be 1 to 65535; its last good version stays in force/);
  await assertPaths(lab, [
    ['t/p9', tcp(clusterIP(26), 80), answer(podAddress(CLIENT), 'p1')],
    ['t/p9', udp(clusterIP(26), 81), 'refused'],
  ]);
  const { frontends } = JSON.parse(await weir(lab, 'n1', 'dump', '-o', 'json')) as { frontends: { service: string; frontend: string }[] };
  const held = frontends.filter((one) => one.service.startsWith('t/half'));
  assert.deepEqual(
    held.map(({ frontend }) => frontend),
    [`${clusterIP(26)}:80/TCP`],
  );
  lab.writeManifest('half.json', half(ports({ name: 'udp', protocol: 'UDP', port: 81 }), external));
  await until('the new port is served', async () => (await lab.dial('t/p9', udp(clusterIP(26), 81))).outcome === 'answered');
});

test('a Service with an impossible address is named with it', async () => {
  lab.writeManifest('address.json', [
    service({ name: 'odd', clusterIPs: ['10.96.0.300'], ports: [{ name: 'tcp', protocol: 'TCP', port: 80 }] }),
  ]);
  await assertOneLine(/t\/odd/, /10\.96\.0\.300/);
});

test('an EndpointSlice without its Service is named with it, and counts when the Service comes', async () => {
  lab.writeManifest('slice.json', answered('unknown', P1).slice(0, 1));
  await assertOneLine(/unknown/, /EndpointSlice t\/unknown-4.*Service t\/unknown.*does not exist/);
  lab.writeManifest('unknown.json', [numbered('unknown', 22, { families: [4] })]);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(22), 80), 'p1');
});

test('an EndpointSlice of mixed families is named with the address that does not fit', async () => {
  const mixed = slice({ of: 'mixed', pods: [P1] }) as { endpoints: { addresses: string[] }[] };
  mixed.endpoints.push({ addresses: ['fd00:244::1'] });
  lab.writeManifest('mixed.json', [numbered('mixed', 23, { families: [4] }), mixed]);
  await assertOneLine(/t\/mixed-4/, /fd00:244::1/);
});

test('of two versions of an object that of the first file counts, and both files are named', async () => {
  lab.writeManifest('zz-twin.json', [numbered('other', OTHER), ...slices({ of: 'other', pods: [] })]);
  await until('the agent names both', () => said(/zz-twin\.json/).length >= 3);
  for (const line of said(/zz-twin\.json/))
    assert.match(line, /in \S*other\.json and in \S*zz-twin\.json: weir uses the version in \S*other\.json/);
  assert.equal(said(/zz-twin\.json/).length, 3);
  await assertPaths(lab, FAMILIES.flatMap(good));
});

test('an object of an unknown kind is said once, and the others of its file count', async () => {
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', namespace: 't' } };
  lab.writeManifest('kinds.json', [deployment, numbered('kinds', 24), ...answered('kinds', P1)]);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(24), 80), 'p1');
  assert.ok(said(/kinds\.json/).length <= 1, said(/kinds\.json/).join('\n'));
});

test('an empty file is named, and says nothing about the Services of others', async () => {
  await assertOneLine(/empty\.yaml/, /empty/);
});

test('two Services that want one NodePort: one has it, and both are named', async () => {
  const rival = service({
    name: 'rival',
    clusterIPs: [clusterIP(25)],
    ports: [{ name: 'tcp', protocol: 'TCP', port: 80, nodePort: 30_001 }],
  });
  lab.writeManifest('rival.json', [rival, ...answered('rival', P2)]);
  await assertOneLine(/rival/, /t\/good/);
  await assertPaths(lab, [
    ['n1', tcp('192.0.2.11', 30_001), answer('192.0.2.11', 'p1')],
    ['t/p9', tcp(clusterIP(25), 80), answer(podAddress(CLIENT), 'p2')],
  ]);
});

test('a folder that vanishes leaves everything in force, and is followed again when it is back', async () => {
  renameSync(dir, `${dir}.away`);
  await assertOneLine(/folder/, /Cannot read folder.*its last contents stay in force/);
  await assertPaths(lab, FAMILIES.flatMap(good));
  renameSync(`${dir}.away`, dir);
});

test('a folder that is made anew, and filled file by file, takes nothing away before it is complete', async () => {
  renameSync(dir, `${dir}.old`);
  mkdirSync(dir);
  await assertPaths(lab, FAMILIES.flatMap(good));
  for (const file of ['objects.json', 'other.json', 'next.json']) renameSync(join(`${dir}.old`, file), join(dir, file));
  rmSync(`${dir}.old`, { recursive: true });
});
