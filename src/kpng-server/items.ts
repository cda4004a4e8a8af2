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
import { keptFrame } from './kept-frame.ts';
import { type NodePlace, selectForNode } from './select-for-node.ts';
import type { Operation, View } from './view.ts';

/** Who looks at the board. `extended`: it reads weir's extensions. */
export type Viewer =
  | ({ readonly stream: 'local'; readonly extended: boolean } & NodePlace)
  | { readonly stream: 'global'; readonly extended: boolean };

/** One thing that is sent, or several that go together. It is replaced when they change. */
export interface Item {
  /** Undefined: nothing for this viewer. Two that see the same get the same object, as far as that is cheap to know. */
  view(viewer: Viewer): View | undefined;
}

/** A Service and its endpoints. `before`: what it was until now. */
export class ServiceItem implements Item {
  readonly #service: Service;
  readonly #slices: readonly EndpointSlice[];
  readonly #targets: ReadonlyMap<string, number>;
  readonly #entries: readonly EndpointEntry[];
  /** Nodes that have an endpoint, or that a hint names: what they see, others do not. */
  readonly #special: ReadonlySet<string>;
  readonly #hasZones: boolean;
  /** Of all other nodes, and of global viewers. */
  readonly #views = new Map<string, View>();
  /** The Service itself, as one list for all views. */
  #operation: readonly Operation[] | undefined;
  #globalOperation: readonly Operation[] | undefined;

  constructor(service: Service, slices: readonly EndpointSlice[], before?: ServiceItem) {
    this.#service = service;
    this.#slices = slices.filter(({ headless }) => headless !== true).sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#targets = targetPorts(this.#slices);
    this.#entries = entriesOf(this.#slices, before?.entries ?? []);
    const endpoints = this.#slices.flatMap((slice) => slice.endpoints);
    this.#special = new Set(endpoints.flatMap(({ nodeName, hintNodes }) => [nodeName, ...hintNodes]));
    this.#hasZones = endpoints.some(({ hintZones }) => hintZones.length > 0);
    if (before?.isServiceAs(this)) {
      this.#operation = before.#operation;
      this.#globalOperation = before.#globalOperation;
    }
  }

  get entries(): readonly EndpointEntry[] {
    return this.#entries;
  }

  view(viewer: Viewer): View {
    if (viewer.stream === 'local' && this.#special.has(viewer.nodeName)) return this.#localView(viewer);
    const key = viewer.stream === 'global' ? 'global' : `${viewer.extended} ${this.#hasZones ? viewer.zone : ''}`;
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const made = viewer.stream === 'global' ? this.#globalView() : this.#localView({ ...viewer, nodeName: '' });
    const view = { ...made, joined: {} };
    this.#views.set(key, view);
    return view;
  }

  /** Whether it is the same apart from its endpoints. */
  isServiceAs(other: ServiceItem): boolean {
    return isDeepStrictEqual([this.#service, this.#targets], [other.#service, other.#targets]);
  }

  #localView({ nodeName, zone, extended }: Extract<Viewer, { stream: 'local' }>): View {
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

  #globalView(): View {
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

/** A Node: for itself, and for those who follow the whole cluster. */
export class NodeItem implements Item {
  readonly node: Node;
  readonly #view: View;

  constructor(node: Node) {
    this.node = node;
    const message = nodeInfo(node);
    const bytes = nodeInfoCodec.encode({ ...message, Hash: hashOf(nodeInfoCodec.encode(message)) });
    this.#view = contextView(operation(SETS.GlobalNodeInfos, globalPath('', node.name), bytes));
  }

  view(viewer: Viewer): View | undefined {
    if (viewer.stream === 'global') return this.#view;
    return viewer.extended && viewer.nodeName === this.node.name ? this.#view : undefined;
  }
}

/** A ServiceCIDR: old peers do not know such things. */
export class ServiceCIDRItem implements Item {
  readonly #view: View;

  constructor(range: ServiceCIDR) {
    this.#view = contextView(operation(SETS.ServiceCIDRs, range.name, serviceCIDRCodec.encode(serviceCIDRMessage(range))));
  }

  view({ extended }: Viewer): View | undefined {
    return extended ? this.#view : undefined;
  }
}

const contextView = (made: Operation): View => ({ operations: { context: [made] }, triggeredAt: 0 });

const operation = (set: SetNumber, path: string, bytes: Uint8Array): Operation => ({
  set,
  path,
  framed: keptFrame(setOperation(set, path, bytes)),
});

/** By port name, that of the first slice that has it: a Service's own target port is not known here. */
const targetPorts = (slices: readonly EndpointSlice[]): ReadonlyMap<string, number> =>
  new Map(slices.toReversed().flatMap(({ ports }) => ports.map(({ name, port }) => [name, port] as const)));
