import { openCall, type TlsPair } from '#grpc/call.ts';
import { watchReqCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
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
