/** A KPNG server of other libraries, @grpc/grpc-js and @bufbuild/protobuf, that sends the operations a test chooses. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileRegistry, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';

const { descriptors } = JSON.parse(readFileSync(join(import.meta.dirname, 'golden/golden.json'), 'utf8'));

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Uint8Array.from(Buffer.from(descriptors, 'hex'))));

/** Encodes a message, for example of type `localv1.Service`, from JSON. */
export const encode = (type: string, says: JsonValue): Buffer => {
  const descriptor = registry.getMessage(type);
  if (descriptor === undefined) throw new Error(`There is no message ${type}`);
  return Buffer.from(toBinary(descriptor, fromJson(descriptor, says)));
};

/** Decodes a message to JSON. */
export const decode = (type: string, bytes: Uint8Array): JsonValue => {
  const descriptor = registry.getMessage(type);
  if (descriptor === undefined) throw new Error(`There is no message ${type}`);
  return toJson(descriptor, fromBinary(descriptor, bytes));
};

const raw = (bytes: Buffer): Buffer => bytes;

const method = (path: string) => ({
  ...{ path, requestStream: true, responseStream: true },
  ...{ requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw },
});

/** Both streams, with messages as bytes. */
export const LOCAL: ServiceDefinition = { watch: method('/localv1.Sets/Watch') };
export const GLOBAL: ServiceDefinition = { watch: method('/globalv1.Sets/Watch') };

type Stream = ServerDuplexStream<Buffer, Buffer>;

/** Listens at a Unix socket. It keeps no state: the test sends every operation. */
export class ScriptedServer {
  readonly #path: string;
  #server = new Server();
  #stream: Stream | undefined;
  /** Requests of all connections, as JSON. */
  readonly requests: JsonValue[] = [];
  connections = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async start(): Promise<void> {
    this.#server = new Server();
    for (const [definition, request] of [
      [LOCAL, 'localv1.WatchReq'],
      [GLOBAL, 'globalv1.GlobalWatchReq'],
    ] as const)
      this.#server.addService(definition, { watch: (stream: Stream) => this.#follow(stream, request) });
    await new Promise<void>((resolve, reject) => {
      this.#server.bindAsync(`unix:${this.#path}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Cuts all connections. */
  stop(): void {
    this.#server.forceShutdown();
  }

  /** Sends operations: OpItems as JSON. */
  send(...operations: readonly JsonValue[]): void {
    for (const operation of operations) this.sendBytes(encode('localv1.OpItem', operation));
  }

  sendBytes(bytes: Buffer): void {
    this.#stream?.write(bytes);
  }

  /** Ends the stream with a status. */
  refuse(code: number, details: string): void {
    this.#stream?.emit('error', { code, details });
  }

  #follow(stream: Stream, request: string): void {
    this.connections++;
    this.#stream = stream;
    stream.on('data', (bytes: Buffer) => this.requests.push(decode(request, bytes)));
    stream.on('error', () => {});
    stream.on('end', () => stream.end());
  }
}

/** An OpItem that sets an object. */
export const set = (name: string, path: string, type: string, says: JsonValue): JsonValue => ({
  Set: { Ref: { Set: name, Path: path }, Bytes: encode(type, says).toString('base64') },
});

/** A Service of namespace shop with one port, as a server without extensions sends it. */
export const service = (name: string, more: Readonly<Record<string, JsonValue>> = {}): JsonValue =>
  set('ServicesSet', `shop/${name}`, 'localv1.Service', {
    ...{ Namespace: 'shop', Name: name, Type: 'ClusterIP', IPs: { ClusterIPs: { V4: ['10.96.0.1'] } } },
    ...{ Ports: [{ Name: 'http', Protocol: 'TCP', Port: 80, TargetPort: 8080 }], ...more },
  });

/** An endpoint of such a Service, without facts. */
export const endpoint = (name: string, pod: string, address: string, more: Readonly<Record<string, JsonValue>> = {}): JsonValue =>
  set('EndpointsSet', `shop/${name}/${pod}`, 'localv1.Endpoint', {
    ...{ IPs: { V4: [address] }, PortOverrides: [{ Name: 'http', Port: 8080 }], Scopes: { Internal: true, External: true }, ...more },
  });

/** An OpItem that deletes an object. */
export const remove = (name: string, path: string): JsonValue => ({ Delete: { Set: name, Path: path } });

export const SYNC: JsonValue = { Sync: {} };
export const RESET: JsonValue = { Reset: {} };
