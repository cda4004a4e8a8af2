import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TestEvents } from './created-events.ts';

/** An object of a test server. */
export interface ApiObject {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: object;
}

interface Version {
  readonly path: string;
  readonly revision: number;
  readonly before: ApiObject | undefined;
  readonly after: ApiObject | undefined;
}

interface Watch {
  readonly path: string;
  readonly matches: (object: ApiObject | undefined) => boolean;
  readonly response: ServerResponse;
}

const PATHS: Readonly<Record<string, string>> = {
  Service: '/api/v1/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/endpointslices',
  Node: '/api/v1/nodes',
  ServiceCIDR: '/apis/networking.k8s.io/v1/servicecidrs',
};

/** Answers a request itself, and says so, or leaves it to the server. */
export type Fault = (url: URL, response: ServerResponse, request: IncomingMessage) => boolean;

/**
 * Lists and watches as an API server has them, on loopback, for tests: revisions, pages, streaming lists, bookmarks, compaction. It can
 * be cut, restored, and told to misbehave.
 */
export class TestApiServer {
  readonly requests: string[] = [];
  readonly events = new TestEvents();
  readonly #server: Server;
  readonly #secure: boolean;
  readonly #objects = new Map<string, ApiObject>();
  #history: Version[] = [];
  readonly #watches = new Set<Watch>();
  #revision = 1000;
  #compacted = 1000;
  #port = 0;
  fault: Fault = () => false;
  streamsLists = true;
  /** Objects of a page at most. */
  pageSize = 2;

  constructor(tls?: ServerOptions) {
    this.#secure = tls !== undefined;
    const answer = (request: IncomingMessage, response: ServerResponse): void => this.#answer(request, response);
    this.#server = tls === undefined ? createHttpServer(answer) : createHttpsServer(tls, answer);
  }

  get url(): string {
    return `${this.#secure ? 'https' : 'http'}://127.0.0.1:${this.#port}`;
  }

  get watches(): number {
    return this.#watches.size;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    this.#watches.clear();
    await closed;
  }

  put(object: ApiObject): void {
    this.#change(object, object);
  }

  delete(object: ApiObject): void {
    this.#change(object, undefined);
  }

  /** Forgets earlier revisions: clients can neither watch from them nor page through them. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#history = [];
  }

  /** The server's store is that of an earlier time, with these objects. */
  restore(objects: readonly ApiObject[], revision: number): void {
    this.#objects.clear();
    this.#revision = revision;
    this.compact();
    for (const object of objects) this.put(object);
  }

  bookmark(): void {
    for (const { path, response } of this.#watches) write(response, 'BOOKMARK', this.#bookmark(path));
  }

  /** Ends all watches, `how`: as a server does it, in the middle of a line, or without a word. */
  cut(how: 'end' | 'mid-line' | 'reset'): void {
    for (const { response } of this.#watches) {
      if (how === 'end') response.end();
      else if (how === 'mid-line') response.write('{"type":"ADDED","object":{"kind":"Ser', () => response.socket?.destroy());
      else response.socket?.resetAndDestroy();
    }
    this.#watches.clear();
  }

  /** Writes a text into every watch. */
  say(text: string): void {
    for (const { response } of this.#watches) response.write(text);
  }

  /** Keys of the objects that a path and its selectors show. */
  #listed(path: string, matches: Watch['matches']): (readonly [string, ApiObject])[] {
    return [...this.#objects].filter(([id, object]) => id.startsWith(`${path} `) && matches(object)).sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #change(object: ApiObject, wanted: ApiObject | undefined): void {
    const path = PATHS[object.kind] ?? '';
    const id = `${path} ${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const before = this.#objects.get(id);
    if (wanted === undefined && before === undefined) return;
    this.#revision++;
    const after = wanted && { ...wanted, metadata: { ...wanted.metadata, resourceVersion: String(this.#revision) } };
    if (after === undefined) this.#objects.delete(id);
    else this.#objects.set(id, after);
    const version = { path, revision: this.#revision, before, after };
    this.#history.push(version);
    for (const watch of this.#watches) if (watch.path === path) tellVersion(watch, version);
  }

  #bookmark(path: string, annotations?: object): object {
    const kind = Object.keys(PATHS).find((name) => PATHS[name] === path);
    return { kind, apiVersion: 'v1', metadata: { resourceVersion: String(this.#revision), ...(annotations && { annotations }) } };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', this.url);
    this.requests.push(`${url.pathname}${url.search}`);
    if (this.fault(url, response, request)) return;
    if (request.method === 'POST') return void this.events.answer(request, response);
    const [, group, namespace, resource] = /^(.*)\/namespaces\/([^/]+)\/(\w+)$/.exec(url.pathname) ?? [];
    if (namespace !== undefined) url.pathname = `${group}/${resource}`;
    const matches = selected(url.searchParams, namespace);
    if (url.searchParams.get('watch') === 'true') this.#watch(url, matches, response);
    else this.#list(url, matches, response);
  }

  #list({ pathname, searchParams }: URL, matches: Watch['matches'], response: ServerResponse): unknown {
    const limit = Number(searchParams.get('limit')) || Number.POSITIVE_INFINITY;
    const [revision = this.#revision, from = 0] = (searchParams.get('continue') ?? '').split(':').filter(Boolean).map(Number);
    if (revision < this.#compacted) return refuse(response, 410, 'The provided continue parameter is too old');
    const all = this.#listed(pathname, matches);
    const end = from + Math.min(limit, limit === Number.POSITIVE_INFINITY ? all.length : this.pageSize);
    const items = all.slice(from, end).map(([, { kind: _kind, apiVersion: _version, ...item }]) => item);
    const metadata = { resourceVersion: String(revision), ...(end < all.length && { continue: `${revision}:${end}` }) };
    const [kind] = Object.entries(PATHS).find(([, path]) => path === pathname) ?? [];
    const apiVersion = kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : 'v1';
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ kind: `${kind}List`, apiVersion, metadata, items }));
  }

  #watch({ pathname: path, searchParams }: URL, matches: Watch['matches'], response: ServerResponse): unknown {
    const streams = searchParams.get('sendInitialEvents') === 'true';
    if (streams && !this.streamsLists) return refuse(response, 422, 'sendInitialEvents is forbidden');
    const from = Number(searchParams.get('resourceVersion'));
    if (!streams && from < this.#compacted) return refuse(response, 410, 'too old resource version');
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    const watch = { path, matches, response };
    if (streams) {
      for (const [, object] of this.#listed(path, matches)) write(response, 'ADDED', object);
      write(response, 'BOOKMARK', this.#bookmark(path, { 'k8s.io/initial-events-end': 'true' }));
    } else {
      for (const version of this.#history) if (version.path === path && version.revision > from) tellVersion(watch, version);
    }
    this.#watches.add(watch);
    return response.on('close', () => this.#watches.delete(watch));
  }
}

/** An answer of the API server that is a Status. */
export function refuse(response: ServerResponse, code: number, message: string, headers: Record<string, string> = {}): true {
  response.writeHead(code, headers).end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message }));
  return true;
}

const write = (response: ServerResponse, type: string, object: object): void =>
  void response.write(`${JSON.stringify({ type, object })}\n`);

/** What a watch shows of a change: an object that its selectors no longer match is deleted. */
function tellVersion({ matches, response }: Watch, { before, after, revision }: Version): void {
  const [was, is] = [matches(before), matches(after)];
  if (is && after !== undefined) write(response, was ? 'MODIFIED' : 'ADDED', after);
  else if (was && before !== undefined) {
    write(response, 'DELETED', { ...before, metadata: { ...before.metadata, resourceVersion: String(revision) } });
  }
}

function selected(query: URLSearchParams, namespace: string | undefined): Watch['matches'] {
  const absent = (query.get('labelSelector') ?? '').split(',').map((text) => text.slice(1));
  const name = /^metadata\.name=(.*)$/.exec(query.get('fieldSelector') ?? '')?.[1];
  return (object) =>
    object !== undefined &&
    (namespace === undefined || object.metadata.namespace === namespace) &&
    absent.every((label) => object.metadata.labels?.[label] === undefined) &&
    (name === undefined || object.metadata.name === name);
}
