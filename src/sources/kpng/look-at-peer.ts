import { openCall, type TlsPair } from '#grpc/call.ts';
import { watchReqCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
import { familyOf } from '#lib/address.ts';
import { failure, type Result, success } from '#lib/result.ts';
import type { Target } from '#lib/target.ts';
import type { Service } from '#model/service.ts';
import { ChangeSetReader, readOperation } from './change-set.ts';

/** What a KPNG server says to a node at first. */
export interface PeerLook {
  /** It speaks weir's extensions. */
  readonly isExtended: boolean;
  readonly isIncomplete: boolean;
  readonly endpoints: number;
  readonly services: readonly Service[];
  /** One sentence for each thing that is wrong with what it says. */
  readonly problems: readonly string[];
}

/** Asks once. Why there is no answer within `waitMs`, otherwise. */
export function lookAtPeer(
  peer: { readonly target: Target; readonly tls: TlsPair | undefined; readonly nodeName: string },
  waitMs: number,
): Promise<Result<PeerLook>> {
  const { promise, resolve } = Promise.withResolvers<Result<PeerLook>>();
  const problems: string[] = [];
  const reader = new ChangeSetReader(METHODS.local, (_, message) => problems.push(`it ${message}`));
  const finish = (result: Result<PeerLook>): void => {
    clearTimeout(late);
    call.close();
    resolve(result);
  };
  const late = setTimeout(() => finish(failure(`it has not said everything within ${waitMs / 1000} s`)), waitMs);
  const call = openCall(
    { ...peer, method: METHODS.local, connectMs: waitMs },
    {
      message(bytes) {
        const item = readOperation(bytes);
        if (item.Op !== 'Sync') {
          reader.take(item);
          return;
        }
        const heard = [...reader.finish().staged.values()].flatMap(({ hearing }) => hearing ?? []);
        finish(
          success({
            isExtended: item.Sync?.Extended ?? false,
            isIncomplete: item.Sync?.Incomplete ?? false,
            endpoints: heard.filter(({ type }) => type === 'endpoint').length,
            services: heard.flatMap((each) => (each.type === 'service' && each.content ? each.content.service : [])),
            problems: [...problems, ...heard.flatMap(({ said }) => said.errors)],
          }),
        );
      },
      ended: ({ message }) => finish(failure(message)),
    },
  );
  call.send(watchReqCodec.encode({ NodeName: peer.nodeName, Extended: true }));
  return promise;
}

/** A rule of Services that messages without extensions cannot say. */
export interface LostRule {
  readonly name: string;
  /** How many Services of the server it is about. */
  readonly services: number;
  readonly consequence: string;
  /** What helps besides another server; empty where nothing does. */
  readonly remedy: string;
}

/** What is lost with a server that speaks no extensions, by the Services that it has. */
export function lostRules(services: readonly Service[]): readonly LostRule[] {
  const count = (isMeant: (service: Service) => boolean): number => services.filter((each) => each.proxied && isMeant(each)).length;
  const [local, outer] = [
    (service: Service) => service.externalTrafficPolicy === 'Local' || service.internalTrafficPolicy === 'Local',
    ({ ports }: Service) => ports.some(({ nodePort }) => nodePort > 0),
  ];
  const rules: readonly LostRule[] = [
    rule(
      'endpoints that drain',
      count(() => true),
      'an endpoint that terminates is gone at once: its UDP flows end, and a Service whose endpoints all terminate refuses',
    ),
    rule(
      'policy Local elsewhere',
      count(local),
      'a Service of policy Local without an endpoint here refuses at once instead of dropping, so load balancers may not try another node',
    ),
    rule(
      'policy Local twice',
      count(({ externalTrafficPolicy, internalTrafficPolicy }) => externalTrafficPolicy === 'Local' && internalTrafficPolicy === 'Local'),
      'pods that dial an outer address reach endpoints of this node only',
    ),
    rule(
      'this Node',
      count(outer),
      'nothing says its addresses and pod ranges: no NodePort is served, and NodeCIDR tells nobody apart',
      'give --bind-address, --nodeport-addresses with networks, --cluster-cidr',
    ),
    rule(
      'both families',
      count(({ clusterIPs }) => new Set(clusterIPs.map(familyOf)).size > 1),
      'of a pod with addresses of both families only one is said',
    ),
    rule(
      'topology hints',
      count(() => true),
      'hints for nodes do not count, and where hints name no endpoint for this zone the Service has none here',
    ),
    rule(
      'ipMode',
      count(({ loadBalancerIPs }) => loadBalancerIPs.length > 0),
      'LoadBalancer addresses of ipMode Proxy are served here instead of by the load balancer',
    ),
    rule(
      'age of Services',
      count(() => true),
      'of two Services that claim one address the first by name keeps it, not the older one',
    ),
    rule(
      'ServiceCIDRs',
      count(() => true),
      'traffic to Service addresses that nobody owns is not dropped',
      'give --service-cidr',
    ),
  ];
  return rules.filter((each) => each.services > 0);
}

const rule = (name: string, services: number, consequence: string, remedy = ''): LostRule => ({ name, services, consequence, remedy });
