import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { text as textOf } from 'node:stream/consumers';
import type { Result } from '#lib/result.ts';
import { ApiFailure, describeConnectionError, messageOf, reasonOf } from './api-failure.ts';
import { describeCertificate } from './credential-files.ts';
import type { Access, Identity } from './credentials.ts';
import { createPluginCredentials } from './exec-plugin.ts';

/** Bounds of one request, ms. */
export interface RequestTimes {
  /** Until there is a connection, TLS included. */
  readonly connectMs: number;
  /** Then until the answer begins: a list is answered when it is complete, API servers themselves give up after 60 s. */
  readonly answerMs: number;
  /** Without a byte: servers send a bookmark about once a minute, so a connection that is silent for longer leads nowhere. */
  readonly idleMs: number;
}

/** Requests to the API server. */
export interface Connection {
  /** The body of a good answer. Throws ApiFailure, also while the body is read. */
  get(path: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** Creates an object in the collection of that path. Throws ApiFailure. */
  post(path: string, object: object, signal: AbortSignal): Promise<void>;
  /** For messages. */
  readonly address: string;
  close(): void;
}

type Agent = HttpAgent | HttpsAgent;

/** Time after which the kernel asks whether the other side still lives, ms. */
const KEEP_ALIVE_MS = 30_000;

/** `readAccess` is asked before each request: files rotate. */
export function createConnection(readAccess: () => Result<Access>, times: RequestTimes): Connection {
  const plugins = createPluginCredentials();
  let agent: Agent | undefined;
  let agentFor = '';
  let address = 'the API server';

  const agentOf = ({ server, tls }: Access, { cert, key }: Identity): Agent => {
    const asked = JSON.stringify([server.origin, tls, cert, key]);
    if (agent !== undefined && asked === agentFor) return agent;
    agentFor = asked;
    const options = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, timeout: KEEP_ALIVE_MS };
    const pair = cert === undefined || key === undefined ? {} : { cert, key };
    const trust = {
      rejectUnauthorized: !tls.insecure,
      ...(tls.ca && { ca: tls.ca }),
      ...(tls.serverName && { servername: tls.serverName }),
    };
    agent = server.protocol === 'https:' ? new HttpsAgent({ ...options, ...pair, ...trust }) : new HttpAgent(options);
    return agent;
  };

  const ask = async (path: string, signal: AbortSignal, object?: object): Promise<IncomingMessage> => {
    const read = readAccess();
    if (!read.ok) throw new ApiFailure('credentials', read.errors.join('; '));
    const access = read.value;
    address = `API server ${access.server.href.replace(/\/$/, '')}`;
    const { plugin } = access.identity;
    const identity = plugin === undefined ? access.identity : { ...access.identity, ...(await plugins.of(plugin)) };
    const url = new URL(access.server.pathname.replace(/\/$/, '') + path, access.server);
    const response = await send({ url, object, agent: agentOf(access, identity), identity, times, signal, address });
    if (response.statusCode === (object === undefined ? 200 : 201)) return response;
    if (response.statusCode === 401) plugins.forget();
    throw await failureOf(response, address, identity);
  };

  return {
    get address() {
      return address;
    },
    get: (path, signal) => ask(path, signal),
    async post(path, object, signal) {
      (await ask(path, signal, object)).on('error', () => {}).resume();
    },
    close: () => agent?.destroy(),
  };
}

interface Asked {
  readonly url: URL;
  /** Body of a POST; undefined = a GET. */
  readonly object: object | undefined;
  readonly agent: Agent;
  readonly identity: Identity;
  readonly times: RequestTimes;
  readonly signal: AbortSignal;
  readonly address: string;
}

/** Resolves when the answer begins; what goes wrong later destroys it. */
function send({ url, object, agent, identity, times, signal, address }: Asked): Promise<IncomingMessage> {
  const headers = {
    accept: 'application/json',
    'user-agent': 'weir',
    ...(identity.authorization && { authorization: identity.authorization }),
    ...(object && { 'content-type': 'application/json' }),
  };
  const method = object === undefined ? 'GET' : 'POST';
  const options = { method, agent, headers, signal, timeout: times.idleMs };
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options);
  let current: { destroy(error: Error): unknown } = request;
  const giveUp = (what: string): void => void current.destroy(new Error(what));
  const within = (ms: number, what: string): NodeJS.Timeout => setTimeout(giveUp, ms, `${what} within ${ms / 1000} s`);
  let bound = within(times.connectMs, 'there was no connection');
  request.on('socket', (socket) => {
    const connected = (): void => {
      clearTimeout(bound);
      bound = within(times.answerMs, 'there was no answer');
    };
    if (socket.connecting) socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', connected);
    else connected();
  });
  request.on('timeout', () => giveUp(`nothing came for ${times.idleMs / 1000} s`));
  return new Promise((resolve, reject) => {
    request.once('response', (response) => {
      clearTimeout(bound);
      current = response;
      resolve(response);
    });
    request.on('error', (error) => reject(new ApiFailure('unreachable', `Cannot reach ${address}: ${describeConnectionError(error)}`)));
    request.once('close', () => clearTimeout(bound));
    request.end(object && JSON.stringify(object));
  });
}

async function failureOf(response: IncomingMessage, address: string, identity: Identity): Promise<ApiFailure> {
  const { statusCode: status = 0, headers } = response;
  const said = messageOf(await textOf(response).catch(() => ''));
  const waitMs = /^\d{1,4}$/.test(headers['retry-after'] ?? '') ? Number(headers['retry-after']) * 1000 : 0;
  const answer = `${address} answered ${status}${said === '' ? '' : ` (${said})`}`;
  if (status !== 401) return new ApiFailure(reasonOf(status), answer, waitMs);
  const proof =
    identity.cert === undefined ? identity.described : `${identity.described} (certificate: ${describeCertificate(identity.cert)})`;
  return new ApiFailure('unauthorized', `${answer}: it does not take ${proof}`, waitMs);
}
