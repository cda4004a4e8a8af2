/** Scenarios: small clusters with questions and their expected answers. For the YAML files in scenarios/ see read-scenario.ts. */
import type { Address, Family } from '#lib/address.ts';
import { hostPort } from '#lib/host-port.ts';
import type { ModelObject } from '#model/objects.ts';
import type { Protocol } from '#model/service.ts';

export interface Scenario {
  /** Name of the file without `.yaml`. */
  readonly name: string;
  /** Ids of rules of docs/semantics.md. */
  readonly covers: readonly string[];
  /** Upstream's test cases that it covers. */
  readonly upstream: readonly string[];
  /** Flags of every node's agent, without the flags of the source and of the node's name. */
  readonly agent: readonly string[];
  readonly steps: readonly Step[];
}

/** The objects at one time, and questions about them. */
export interface Step {
  /** From 1. */
  readonly number: number;
  /** All objects, as the API prints them: Nodes, Services, EndpointSlices. */
  readonly manifests: readonly object[];
  /** The decoded manifests. */
  readonly objects: readonly ModelObject[];
  readonly questions: readonly Question[];
}

/** The way of a client: the socket path or the packet path. */
export type Via = 'sockets' | 'packets';

/** A client that dials an address, and the expected answer. */
export interface Question {
  /** Its line in the file. */
  readonly line: { readonly number: number; readonly text: string };
  /** Pod, node or outside client, see world.ts. */
  readonly from: string;
  /** Address of the client. */
  readonly source: Address;
  readonly address: Address;
  readonly port: number;
  readonly protocol: Protocol;
  readonly via: Via;
  /** The first node on the way. */
  readonly by: string;
  readonly family: Family;
  readonly answer: Answer;
}

/** Exactly these answer, each for some flows; or none does. `untouched`: weir does not translate, and no pod has the address. */
export type Answer = readonly Answerer[] | 'refused' | 'dropped' | 'untouched';

/** An answering endpoint, and the client address that it sees. */
export interface Answerer {
  /** A pod, or a node for a process in its network. */
  readonly name: string;
  readonly client: Address;
  /** Port of the endpoint, if the expectation has one. */
  readonly port?: number;
}

/** A question as text: `a1 -> [fd00::ac1e:29]:80/udp via packets by n1`. */
export function questionText({ from, address, port, protocol, via, by }: Question): string {
  return `${from} -> ${hostPort(address, port)}/${protocol.toLowerCase()} via ${via} by ${by}`;
}

/** An answer as text, equal for equal answers: `a1 as 10.180.0.1, b1:8080 as 192.168.0.2`. */
export function answerText(answer: Answer): string {
  if (typeof answer === 'string') return answer;
  const names = answer.map(({ name, port, client }) => `${name}${port === undefined ? '' : `:${port}`} as ${client}`);
  return [...new Set(names)].sort().join(', ');
}

/** An answer without ports, unless the expectation has ports. */
export function withoutPorts(seen: Answer, expected: Answer): Answer {
  if (typeof seen === 'string' || (typeof expected !== 'string' && expected.some(({ port }) => port !== undefined))) return seen;
  return seen.map(({ name, client }) => ({ name, client }));
}
