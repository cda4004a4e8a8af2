/** A running server whose source the test plays, and clients of other libraries. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'node:test';
import { type ChannelCredentials, Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { type KpngServer, type KpngServerOptions, startKpngServer } from '#kpng-server/server.ts';
import { formatTarget, type GrpcTarget } from '#lib/target.ts';
import type { Sink, Source } from '#sources/source.ts';
import { until } from '#support/manifest-folder.ts';
import { decode, encode } from './scripted-server.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Registers a cleanup. */
export const onTestEnd = (cleanup: () => unknown): void => void cleanups.push(cleanup);

export interface RunningServer {
  readonly server: KpngServer;
  readonly sink: Sink;
  readonly target: GrpcTarget;
  readonly refused: string[];
}

export function temporarySocket(): GrpcTarget {
  const dir = mkdtempSync(join(tmpdir(), 'weir-kpng-'));
  onTestEnd(() => rmSync(dir, { recursive: true }));
  return { type: 'unix', path: join(dir, 'kpng.sock') };
}

/** A server without objects that waits for its source. */
export async function startServer(options: Partial<KpngServerOptions> = {}): Promise<RunningServer> {
  let sink: Sink | undefined;
  const source: Source = {
    start(given) {
      sink = given;
    },
    async stop() {},
  };
  const refused: string[] = [];
  const target = options.target ?? temporarySocket();
  const server = await startKpngServer({
    ...{ source, target, tls: undefined, verifyNodeNames: false, busy() {} },
    log: { info() {}, problem() {}, debug() {}, refused: (_, reason) => void refused.push(reason) },
    ...options,
  });
  onTestEnd(() => server.stop());
  return { server, sink: sink as Sink, target, refused };
}

type Json = Readonly<Record<string, unknown>>;

/** A client of @grpc/grpc-js that decodes with @bufbuild/protobuf. */
export class GrpcJsClient {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #requestType: string;
  /** OpItems received, as JSON. */
  readonly items: Json[] = [];
  /** The status that ended the stream. */
  ended: { readonly code: number; readonly details: string } | undefined;

  constructor({
    target,
    method = '/localv1.Sets/Watch',
    tls = credentials.createInsecure(),
  }: { readonly target: GrpcTarget; readonly method?: string; readonly tls?: ChannelCredentials }) {
    const address = target.type === 'unix' ? `unix:${target.path}` : formatTarget(target);
    // Without these, grpc-js sends an IP address as server name, which Node rejects
    const client = new Client(address, tls, { 'grpc.ssl_target_name_override': 'localhost', 'grpc.default_authority': 'localhost' });
    this.#requestType = method.startsWith('/globalv1') ? 'globalv1.GlobalWatchReq' : 'localv1.WatchReq';
    this.#call = client.makeBidiStreamRequest(
      method,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    );
    this.#call.on('data', (bytes: Buffer) => this.items.push(decode('localv1.OpItem', bytes) as Json));
    this.#call.on('error', () => {});
    this.#call.on('status', (status) => {
      this.ended = status;
    });
    onTestEnd(() => {
      this.#call.cancel();
      client.close();
    });
  }

  request(request: Readonly<Record<string, string | boolean>>): void {
    this.requestBytes(encode(this.#requestType, request));
  }

  requestBytes(bytes: Buffer): void {
    this.#call.write(bytes);
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  halfClose(): void {
    this.#call.end();
  }

  get syncs(): number {
    return this.items.filter((item) => 'Sync' in item).length;
  }

  /** Requests a change set and waits for its Sync; returns the operations as `set PATH`, `delete PATH`, `reset` and `sync`. */
  async next(request: Readonly<Record<string, string | boolean>>): Promise<readonly string[]> {
    const [from, syncs] = [this.items.length, this.syncs];
    this.request(request);
    await until('Sync', () => this.syncs > syncs || this.ended !== undefined);
    return this.items.slice(from).map(brief);
  }

  async end(): Promise<string> {
    await until('the end of the stream', () => this.ended !== undefined);
    return `${this.ended?.code} ${this.ended?.details}`;
  }
}

function brief(item: Json): string {
  const { Set: value, Delete } = item as { Set?: { Ref: { Path: string } }; Delete?: { Path: string } };
  if (value) return `set ${value.Ref.Path}`;
  if (Delete) return `delete ${Delete.Path}`;
  return 'Reset' in item ? 'reset' : 'sync';
}
