/** Fetches the full state of a KPNG server once, for `weir doctor`. */
import { openCall, type TlsPair } from '#grpc/call.ts';
import { watchReqCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
import { failure, type Result, success } from '#lib/result.ts';
import type { GrpcTarget } from '#lib/target.ts';
import type { Service } from '#model/service.ts';
import { ChangeSetReader, readOperation } from './change-set.ts';

/** The first change set of a node's local stream. */
export interface PeerSnapshot {
  /** The server sends weir's extensions. */
  readonly isExtended: boolean;
  /** The server cannot read all objects. */
  readonly isIncomplete: boolean;
  readonly endpoints: number;
  readonly services: readonly Service[];
  /** One sentence for each invalid object and each protocol error. */
  readonly problems: readonly string[];
}

/** Follows the local stream of a node until the first Sync; fails if that takes longer than `waitMs`. */
export function fetchPeerSnapshot(
  peer: { readonly target: GrpcTarget; readonly tls: TlsPair | undefined; readonly nodeName: string },
  waitMs: number,
): Promise<Result<PeerSnapshot>> {
  const { promise, resolve } = Promise.withResolvers<Result<PeerSnapshot>>();
  const problems: string[] = [];
  const reader = new ChangeSetReader(METHODS.local, (_, message) => problems.push(`it ${message}`));
  const finish = (result: Result<PeerSnapshot>): void => {
    clearTimeout(late);
    call.close();
    resolve(result);
  };
  const late = setTimeout(() => finish(failure(`it has not sent its full state within ${waitMs / 1000} s`)), waitMs);
  const call = openCall(
    { ...peer, method: METHODS.local, connectMs: waitMs },
    {
      message(bytes) {
        const item = readOperation(bytes);
        if (item.Op !== 'Sync') {
          reader.take(item);
          return;
        }
        const values = [...reader.finish().staged.values()].flatMap(({ value }) => value ?? []);
        finish(
          success({
            isExtended: item.Sync?.Extended ?? false,
            isIncomplete: item.Sync?.Incomplete ?? false,
            endpoints: values.filter(({ type }) => type === 'endpoint').length,
            services: values.flatMap((each) => (each.type === 'service' && each.content ? each.content.service : [])),
            problems: [...problems, ...values.flatMap((value) => value.problems.errors)],
          }),
        );
      },
      ended: ({ message }) => finish(failure(message)),
    },
  );
  call.send(watchReqCodec.encode({ NodeName: peer.nodeName, Extended: true }));
  return promise;
}
