/**
 * The messages against two other implementations of protobuf: Go's, with descriptors written from the tables of the wire format
 * (golden/main.go), which made golden.json; and @bufbuild/protobuf with Go's descriptors. `cd test/kpng/golden && go run . >golden.json`
 * regenerates the fixtures.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, createFileRegistry, type FileRegistry, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import protobuf from 'protobufjs/light.js';
import { createStore } from '#agent/store.ts';
import { DESCRIPTORS } from '#kpng/descriptors.ts';
import { endpointCodec, type MessageCodec, serviceCodec } from '#kpng/messages.ts';
import { readObjects } from '#lab/read-objects.ts';
import { TestClient, TestServer } from './in-process.ts';

const GOLDEN = join(import.meta.dirname, 'golden');
const ROOT = join(import.meta.dirname, '../..');

interface Golden {
  readonly descriptors: string;
  readonly messages: readonly { readonly name: string; readonly type: string; readonly says: JsonValue; readonly hex: string }[];
}

const golden: Golden = JSON.parse(readFileSync(join(GOLDEN, 'golden.json'), 'utf8'));

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const descriptorSet = fromBinary(FileDescriptorSetSchema, bytesOf(golden.descriptors));
const others = createFileRegistry(descriptorSet);
const ours = protobuf.Root.fromJSON(DESCRIPTORS);

const theirs = (name: string, registry: FileRegistry = others) => registry.getMessage(name) ?? assert.fail(`There is no message ${name}`);

/** Decodes bytes with weir's library, to JSON. */
const decodeByWeir = (name: string, bytes: Uint8Array): unknown => {
  const type = ours.lookupType(name);
  return type.toObject(type.decode(bytes), { enums: String, longs: String, bytes: String });
};

/** Encodes a sample with weir's library. */
const encodeByWeir = (name: string, says: JsonValue): Uint8Array => {
  const type = ours.lookupType(name);
  return type.encode(type.fromObject(says as Record<string, unknown>)).finish();
};

test('weir decodes the messages that Go encoded, and encodes them to as many bytes', () => {
  for (const { name, type, says, hex } of golden.messages) {
    assert.deepEqual(decodeByWeir(type, bytesOf(hex)), says, name);
    // The order of fields is free
    assert.equal(encodeByWeir(type, says).length, hex.length / 2, name);
  }
  assert.ok(golden.messages.length >= 15);
});

test('weir and @bufbuild/protobuf decode the messages that the other encodes', () => {
  for (const { name, type, says } of golden.messages) {
    const descriptor = theirs(type);
    assert.deepEqual(decodeByWeir(type, toBinary(descriptor, fromJson(descriptor, says))), says, name);
    const read = fromBinary(descriptor, encodeByWeir(type, says));
    assert.equal(read.$unknown, undefined, name);
    assert.deepEqual(toJson(descriptor, read), says, name);
  }
});

test("every field of the descriptors has the number of Go's descriptors", () => {
  const seen: string[] = [];
  for (const file of ['localv1', 'globalv1'] as const) {
    for (const [message, { fields }] of Object.entries(DESCRIPTORS.nested[file].nested as Record<string, { fields?: object }>)) {
      if (fields === undefined) continue;
      const other = theirs(`${file}.${message}`);
      const numbers = Object.fromEntries(other.fields.map(({ name, number }) => [name, number]));
      assert.deepEqual(Object.fromEntries(Object.entries(fields).map(([name, { id }]) => [name, id])), numbers, `${file}.${message}`);
      seen.push(message);
    }
  }
  assert.equal(
    seen.length,
    descriptorSet.file.reduce((sum, { messageType }) => sum + messageType.length, 0),
  );
});

test('descriptors.ts is generated from the .proto files', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['scripts/kpng-descriptors.ts', '--print'], { cwd: ROOT, encoding: 'utf8' });
  assert.equal(readFileSync(join(ROOT, 'src/kpng/descriptors.ts'), 'utf8'), stdout, `run "make generate" ${stderr}`);
});

/** KPNG's descriptors, without extensions. */
function oldDescriptors(): FileDescriptorSet {
  const old = create(FileDescriptorSetSchema, descriptorSet);
  for (const file of old.file) {
    for (const message of file.messageType) message.field = message.field.filter(({ number }) => number < 1000);
    for (const kind of file.enumType) kind.value = kind.value.filter(({ number }) => number < 1000);
  }
  return old;
}

test('a peer without extensions decodes all other fields', () => {
  const old = createFileRegistry(fromBinary(FileDescriptorSetSchema, toBinary(FileDescriptorSetSchema, oldDescriptors())));
  const extended = golden.messages.filter(({ says }) => JSON.stringify(says).match(/Facts|Extended|CreatedAt|TriggeredAt/));
  for (const { name, type, hex } of extended) {
    const descriptor = theirs(type, old);
    const read = toJson(descriptor, fromBinary(descriptor, bytesOf(hex))) as Record<string, unknown>;
    const { Facts, Extended, CreatedAt, TriggeredAt, ...rest } = decodeByWeir(type, bytesOf(hex)) as Record<string, unknown>;
    assert.deepEqual(Object.keys(read), Object.keys(rest), name);
  }
  assert.ok(extended.length >= 6);
});

/** All messages, with their types, that a server with the sample cluster sends to two nodes and to the global stream. */
async function sentMessages(): Promise<readonly (readonly [type: string, bytes: Uint8Array])[]> {
  const { objects } = await readObjects([join(ROOT, 'test/fixtures/shop-cluster.yaml')]);
  const server = new TestServer();
  for (const object of objects) server.store.set(object);
  server.notify();
  const types: Readonly<Record<number, string>> = {
    ...{ 1: 'localv1.Service', 2: 'localv1.Endpoint', 10: 'globalv1.ServiceInfo', 11: 'globalv1.EndpointInfo' },
    ...{ 12: 'globalv1.NodeInfo', 1000: 'localv1.ServiceCIDR' },
  };
  const peers = [
    new TestClient(server, { stream: 'local', nodeName: 'n1', zone: '', extended: true }, createStore('n1')),
    new TestClient(server, { stream: 'local', nodeName: 'n2', zone: '', extended: false }, createStore('n2')),
    new TestClient(server, { stream: 'global', extended: true }, createStore('n1')),
  ];
  for (const peer of peers) peer.connect();
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  return peers.flatMap(({ items }) =>
    items.flatMap(({ Op, Set: value }) => (Op === 'Set' && value?.Ref ? [[types[value.Ref.Set] ?? 'unknown', value.Bytes] as const] : [])),
  );
}

test('another library decodes all messages of a server, and encodes them to the same content', async () => {
  const sent = await sentMessages();
  for (const [type, bytes] of sent) {
    const read = fromBinary(theirs(type), bytes);
    assert.equal(read.$unknown, undefined, type);
    assert.deepEqual(decodeByWeir(type, toBinary(theirs(type), read)), decodeByWeir(type, bytes), type);
  }
  assert.ok(new Set(sent.map(([type]) => type)).size >= 5);
  assert.ok(sent.length >= 90, `${sent.length} messages`);
});

const go = spawnSync('go', ['version'], { encoding: 'utf8' });
const NO_GO = go.status === 0 ? false : 'Go is not installed: golden.json is not regenerated';

test('Go regenerates the same fixtures, and decodes the messages of a server', { skip: NO_GO }, async () => {
  const run = (input: string, ...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('go', ['run', '.', ...args], { cwd: GOLDEN, encoding: 'utf8', input });
    assert.equal(status, 0, stderr);
    return stdout;
  };
  assert.deepEqual(JSON.parse(run('')), golden);
  const sent = await sentMessages();
  const lines = sent.map(([type, bytes]) => `${type} ${hexOf(bytes)}`).join('\n');
  const printed = run(lines, 'decode').trimEnd().split('\n');
  assert.deepEqual(
    printed.map((line) => JSON.parse(line)),
    sent.map(([type, bytes]) => decodeByWeir(type, bytes)),
  );
});

test('undecodable bytes throw an Error', () => {
  const codecs: readonly MessageCodec<unknown>[] = [serviceCodec, endpointCodec];
  for (const { hex } of golden.messages) {
    const bytes = bytesOf(hex);
    for (let length = 0; length < bytes.length; length++) {
      for (const codec of codecs) {
        try {
          codec.decode(bytes.subarray(0, length));
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      }
    }
  }
  assert.throws(() => serviceCodec.decode(bytesOf('0a05736f')), /index out of range/);
  assert.throws(() => serviceCodec.decode(bytesOf('0a02fffe')), /utf-8/);
});
