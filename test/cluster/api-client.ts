import { Agent, type RequestOptions, request } from 'node:https';
import { type Credentials, SERVER_NAME } from './credentials.ts';

/** A Kubernetes object, as JSON has it. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: object;
  readonly status?: object | undefined;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

const CONCURRENT_REQUESTS = 16;

/** REST calls to an API server that listens behind a Unix socket. */
export class ApiClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONCURRENT_REQUESTS });
  readonly #server: RequestOptions;
  readonly #namespaces = new Map<string, Promise<void>>();

  constructor(socketPath: string, { token, certificate }: Credentials) {
    const headers = { host: SERVER_NAME, authorization: `Bearer ${token}` };
    this.#server = { agent: this.#agent, socketPath, servername: SERVER_NAME, ca: certificate, headers };
  }

  /** Makes or replaces objects, in no particular order, their status too; namespaces that they name are made. */
  async apply(objects: readonly ApiObject[]): Promise<void> {
    await Promise.all([...new Set(objects.flatMap((object) => object.metadata.namespace ?? []))].map((name) => this.#makeNamespace(name)));
    await Promise.all(objects.map((object) => this.#applyOne(object)));
  }

  async remove(objects: readonly ApiObject[]): Promise<void> {
    await Promise.all(objects.map((object) => this.#expect(`remove ${nameOf(object)}`, 'DELETE', pathOf(object))));
  }

  /** What the API server has of an object. */
  async read<T extends ApiObject>(object: T): Promise<T> {
    return JSON.parse(await this.#expect(`read ${nameOf(object)}`, 'GET', pathOf(object)));
  }

  /** Objects of a collection that fields select. */
  async list<T>(path: string, fields: Readonly<Record<string, string>>): Promise<T[]> {
    const fieldSelector = Object.entries(fields).map((field) => field.join('='));
    const query = new URLSearchParams({ fieldSelector: fieldSelector.join() });
    return JSON.parse(await this.#expect(`list ${path}`, 'GET', `${path}?${query}`)).items;
  }

  /** Whether the API server says that it is ready; false as well if it does not answer. */
  async isReady(): Promise<boolean> {
    return this.#send('GET', '/readyz').then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** Ends the connections; the next request makes new ones, to a server that may know other objects. */
  disconnect(): void {
    this.#agent.destroy();
    this.#namespaces.clear();
  }

  async #applyOne(object: ApiObject): Promise<void> {
    const task = `apply ${nameOf(object)}`;
    const replaced = await this.#send('PUT', pathOf(object), object);
    // Not the other way round: a Service that exists is refused for its addresses, which are taken, and not with 409.
    if (replaced.status === 404) await this.#expect(task, 'POST', collectionOf(object), object);
    else check(task, replaced);
    // A merge patch replaces lists; in others the two addresses of a node have the same key.
    if (object.status) await this.#expect(`${task} (status)`, 'PATCH', `${pathOf(object)}/status`, { status: object.status });
  }

  #makeNamespace(name: string): Promise<void> {
    const known = this.#namespaces.get(name);
    if (known) return known;
    const made = this.#applyOne({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    this.#namespaces.set(name, made);
    return made;
  }

  async #expect(task: string, method: string, path: string, body?: object): Promise<string> {
    return check(task, await this.#send(method, path, body));
  }

  #send(method: string, path: string, body?: object): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = { ...this.#server.headers, 'content-type': type };
    request({ ...this.#server, method, path, headers }, (response) => {
      let text = '';
      response
        .setEncoding('utf8')
        .on('data', (chunk) => {
          text += chunk;
        })
        .on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        .on('error', reject);
    })
      .on('error', reject)
      .end(body && JSON.stringify(body));
    return promise;
  }
}

function check(task: string, { status, text }: Answer): string {
  if (status >= 200 && status < 300) return text;
  throw new Error(`Cannot ${task}: the API server answers ${status}: ${text}`);
}

function collectionOf({ apiVersion, kind, metadata: { namespace } }: ApiObject): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${group}${namespace ? `/namespaces/${namespace}` : ''}/${kind.toLowerCase()}s`;
}

const pathOf = (object: ApiObject): string => `${collectionOf(object)}/${object.metadata.name}`;

const nameOf = ({ kind, metadata: { namespace, name } }: ApiObject): string => `${kind} ${namespace ? `${namespace}/` : ''}${name}`;
