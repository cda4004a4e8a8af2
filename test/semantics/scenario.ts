/** Scenarios: small clusters, and for every way through them who answers. Files in scenarios/ say it in YAML, see read-scenario.ts. */
import type { Address, Family } from '#lib/address.ts';
import { hostPort } from '#lib/host-port.ts';
import type { ModelObject } from '#model/objects.ts';
import type { Protocol } from '#model/service.ts';

export interface Scenario {
  /** Of the file, without `.yaml`. */
  readonly name: string;
  /** Rules of docs/semantics.md. */
  readonly covers: readonly string[];
  /** Upstream's test cases that it stands for. */
  readonly upstream: readonly string[];
  /** Flags of every node's agent besides those that say where objects come from and which node it is. */
  readonly agent: readonly string[];
  readonly steps: readonly Step[];
}

/** What exists at one time, and what is asked then. */
export interface Step {
  /** From 1. */
  readonly number: number;
  /** Everything that exists, as the API prints it: Nodes, Services, EndpointSlices. */
  readonly manifests: readonly object[];
  /** The same, decoded. */
  readonly objects: readonly ModelObject[];
  readonly questions: readonly Question[];
}

/** Whether the client's socket is seen when it dials, or only its packets. */
export type Via = 'sockets' | 'packets';

/** One way through the cluster. */
export interface Question {
  /** Where the file asks it. */
  readonly line: { readonly number: number; readonly text: string };
  /** Pod, node or client outside, see world.ts. */
  readonly from: string;
  /** Its address. */
  readonly source: Address;
  readonly address: Address;
  readonly port: number;
  readonly protocol: Protocol;
  readonly via: Via;
  /** The node that sees it first. */
  readonly by: string;
  readonly family: Family;
  readonly answer: Answer;
}

/** Exactly these answer, each now and then; or nobody does. `untouched`: weir has no part in it, and no pod has the address. */
export type Answer = readonly Answerer[] | 'refused' | 'dropped' | 'untouched';

/** Who answers, and the client that it sees. */
export interface Answerer {
  /** Pod, or node for what lives in its network. */
  readonly name: string;
  readonly client: Address;
  /** Port that it answers on, where that matters. */
  readonly port?: number;
}

/** A question as a line for people: `a1 -> [fd00::ac1e:29]:80/udp via packets by n1`. */
export function questionText({ from, address, port, protocol, via, by }: Question): string {
  return `${from} -> ${hostPort(address, port)}/${protocol.toLowerCase()} via ${via} by ${by}`;
}

/** An answer as a line for people, equal for equal answers: `a1 as 10.180.0.1, b1:8080 as 192.168.0.2`. */
export function answerText(answer: Answer): string {
  if (typeof answer === 'string') return answer;
  const names = answer.map(({ name, port, client }) => `${name}${port === undefined ? '' : `:${port}`} as ${client}`);
  return [...new Set(names)].sort().join(', ');
}

/** An answer without the ports that nobody asked for. */
export function withoutPorts(seen: Answer, expected: Answer): Answer {
  if (typeof seen === 'string' || (typeof expected !== 'string' && expected.some(({ port }) => port !== undefined))) return seen;
  return seen.map(({ name, client }) => ({ name, client }));
}
