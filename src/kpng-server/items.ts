/** The items of the server: a Service with its endpoints, a Node, a ServiceCIDR. Each decides what a client is sent of it. */
import { isDeepStrictEqual } from 'node:util';
import { nodeInfoCodec, serviceCIDRCodec, serviceCodec, serviceInfoCodec } from '#kpng/messages.ts';
import { setOperation } from '#kpng/operations.ts';
import { globalPath, SETS, type SetNumber } from '#kpng/sets.ts';
import { nodeInfo, serviceCIDRMessage, serviceMessage } from '#kpng/to-messages.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { Node } from '#model/node.ts';
import type { Service } from '#model/service.ts';
import type { ServiceCIDR } from '#model/service-cidr.ts';
import { type EndpointEntry, entriesOf, hashOf } from './endpoint-entry.ts';
import { slabFrame } from './frame-slab.ts';
import type { ItemView, Operation } from './item-view.ts';
import { type NodePlace, selectForNode } from './select-for-node.ts';

/** A client, by what it asks for. `extended`: it reads weir's extensions. */
export type Subscriber =
  | ({ readonly stream: 'local'; readonly extended: boolean } & NodePlace)
  | { readonly stream: 'global'; readonly extended: boolean };

/** An object, or objects that are sent together. A change replaces the item. */
export interface Item {
  /** Undefined: nothing for this subscriber. Subscribers that need the same share one view, where that is cheap to find out. */
  view(subscriber: Subscriber): ItemView | undefined;
}

/** A Service and its endpoints. `before`: the item that it replaces, whose encoded operations it reuses. */
export class ServiceItem implements Item {
  readonly #service: Service;
  readonly #slices: readonly EndpointSlice[];
  readonly #targets: ReadonlyMap<string, number>;
  readonly #entries: readonly EndpointEntry[];
  /** Nodes with an endpoint or a hint for them: each needs a view of its own. */
  readonly #nodesWithOwnView: ReadonlySet<string>;
  readonly #hasZones: boolean;
  /** Views of all other nodes and of the global stream, shared. */
  readonly #sharedViews = new Map<string, ItemView>();
  /** The operation of the Service itself; one list for all views. */
  #operation: readonly Operation[] | undefined;
  #globalOperation: readonly Operation[] | undefined;

  constructor(service: Service, slices: readonly EndpointSlice[], before?: ServiceItem) {
    this.#service = service;
    this.#slices = slices.filter(({ unproxied }) => unproxied !== true).sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#targets = targetPorts(this.#slices);
    this.#entries = entriesOf(this.#slices, before?.entries ?? []);
    const endpoints = this.#slices.flatMap((slice) => slice.endpoints);
    this.#nodesWithOwnView = new Set(endpoints.flatMap(({ nodeName, hintNodes }) => [nodeName, ...hintNodes]));
    this.#hasZones = endpoints.some(({ hintZones }) => hintZones.length > 0);
    if (before?.hasSameService(this)) {
      this.#operation = before.#operation;
      this.#globalOperation = before.#globalOperation;
    }
  }

  get entries(): readonly EndpointEntry[] {
    return this.#entries;
  }

  view(subscriber: Subscriber): ItemView {
    if (subscriber.stream === 'local' && this.#nodesWithOwnView.has(subscriber.nodeName)) return this.#localView(subscriber);
    const key = subscriber.stream === 'global' ? 'global' : `${subscriber.extended} ${this.#hasZones ? subscriber.zone : ''}`;
    const known = this.#sharedViews.get(key);
    if (known !== undefined) return known;
    const made = subscriber.stream === 'global' ? this.#globalView() : this.#localView({ ...subscriber, nodeName: '' });
    const view = { ...made, joined: {} };
    this.#sharedViews.set(key, view);
    return view;
  }

  /** Whether both are equal apart from the endpoints. */
  hasSameService(other: ServiceItem): boolean {
    return isDeepStrictEqual([this.#service, this.#targets], [other.#service, other.#targets]);
  }

  #localView({ nodeName, zone, extended }: Extract<Subscriber, { stream: 'local' }>): ItemView {
    const { internal, external, needed } = selectForNode(this.#service, this.#slices, { nodeName, zone });
    const endpoint: Operation[] = [];
    const anonymous: Operation[] = [];
    for (const entry of this.#entries) {
      const scopes = {
        local: nodeName !== '' && entry.endpoint.nodeName === nodeName,
        internal: internal.has(entry.endpoint),
        external: external.has(entry.endpoint),
      };
      const isWanted = extended ? (needed?.has(entry.endpoint.address) ?? true) : scopes.internal || scopes.external;
      if (!isWanted) continue;
      (entry.endpoint.pod === '' ? anonymous : endpoint).push(entry.operation(scopes));
    }
    this.#operation ??= [this.#encode()];
    const operations = { service: this.#operation, ...(endpoint.length > 0 && { endpoint }), ...(anonymous.length > 0 && { anonymous }) };
    return { operations, triggeredAt: this.#triggeredAt };
  }

  #globalView(): ItemView {
    this.#globalOperation ??= [this.#encodeGlobal()];
    const endpoint = this.#entries.map((entry) => entry.globalOperation());
    return { operations: { service: this.#globalOperation, endpoint }, triggeredAt: this.#triggeredAt };
  }

  get #triggeredAt(): number {
    return Math.max(0, ...this.#slices.map(({ triggeredAt }) => triggeredAt));
  }

  #encode(): Operation {
    const { namespace, name } = this.#service;
    return operation(SETS.Services, `${namespace}/${name}`, serviceCodec.encode(serviceMessage(this.#service, this.#targets)));
  }

  #encodeGlobal(): Operation {
    const { namespace, name } = this.#service;
    const message = serviceMessage(this.#service, this.#targets);
    const bytes = serviceInfoCodec.encode({ Hash: hashOf(serviceCodec.encode(message)), Service: message });
    return operation(SETS.GlobalServiceInfos, globalPath(namespace, name), bytes);
  }
}

/** A Node, sent to the node itself and to the global stream. */
export class NodeItem implements Item {
  readonly node: Node;
  readonly #view: ItemView;

  constructor(node: Node) {
    this.node = node;
    const message = nodeInfo(node);
    const bytes = nodeInfoCodec.encode({ ...message, Hash: hashOf(nodeInfoCodec.encode(message)) });
    this.#view = contextView(operation(SETS.GlobalNodeInfos, globalPath('', node.name), bytes));
  }

  view(subscriber: Subscriber): ItemView | undefined {
    if (subscriber.stream === 'global') return this.#view;
    return subscriber.extended && subscriber.nodeName === this.node.name ? this.#view : undefined;
  }
}

/** A ServiceCIDR, sent to clients that read extensions. */
export class ServiceCIDRItem implements Item {
  readonly #view: ItemView;

  constructor(range: ServiceCIDR) {
    this.#view = contextView(operation(SETS.ServiceCIDRs, range.name, serviceCIDRCodec.encode(serviceCIDRMessage(range))));
  }

  view({ extended }: Subscriber): ItemView | undefined {
    return extended ? this.#view : undefined;
  }
}

const contextView = (made: Operation): ItemView => ({ operations: { context: [made] }, triggeredAt: 0 });

const operation = (set: SetNumber, path: string, bytes: Uint8Array): Operation => ({
  set,
  path,
  framed: slabFrame(setOperation(set, path, bytes)),
});

/** Target port by port name, from the first slice that has it: the model has no target port of the Service. */
const targetPorts = (slices: readonly EndpointSlice[]): ReadonlyMap<string, number> =>
  new Map(slices.toReversed().flatMap(({ ports }) => ports.map(({ name, port }) => [name, port] as const)));
