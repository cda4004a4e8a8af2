import type { SourceConfig } from '#config/config.ts';
import { readTlsFiles } from '#grpc/tls-files.ts';
import { degraded, type Finding, fine, missing } from '#kernel/doctor/finding.ts';
import { formatTarget } from '#lib/target.ts';
import { lookAtPeer } from '#sources/kpng/look-at-peer.ts';
import { lostRules } from '#sources/kpng/lost-rules.ts';

/** For a server to say everything, ms. */
const WAIT_MS = 15_000;

const INSTEAD = 'follow weir kpng-server, or the API server';

/** Whether a KPNG server answers, and which rules of Services are lost with it. */
export async function probePeer({ target, tls }: Extract<SourceConfig, { type: 'kpng' }>, nodeName: string): Promise<readonly Finding[]> {
  const name = 'KPNG server';
  const address = formatTarget(target);
  const trouble = {
    consequence: 'agents that follow it serve what they were told before, or nothing',
    remedy: 'start it, and look at address and certificates',
  };
  const files = readTlsFiles(tls);
  if (!files.ok) return [missing(name, files.errors.join('; '), trouble)];
  const look = await lookAtPeer({ target, tls: files.value, nodeName }, WAIT_MS);
  if (!look.ok) return [missing(name, `${address} does not answer node ${nodeName}: ${look.errors.join('; ')}`, trouble)];
  const { isExtended, isIncomplete, services, endpoints, problems } = look.value;
  const detail = `${address}, ${services.length} Services, ${endpoints} endpoints`;
  const [problem] = problems;
  const wrong =
    problem === undefined
      ? []
      : [
          degraded('what it says', `${problems.length} things are wrong, for example: ${problem}`, {
            consequence: 'they are left out',
            remedy: 'mend them where the server has them from',
          }),
        ];
  if (isExtended && isIncomplete)
    return [
      degraded(name, detail, { consequence: 'it cannot read everything, so nothing is removed', remedy: "look at the server's log" }),
      ...wrong,
    ];
  if (isExtended) return [fine(name, `${detail}, with weir's extensions: nothing is lost`), ...wrong];
  const lost = lostRules(services).map((rule) =>
    degraded(`KPNG: ${rule.name}`, `not said by this server, Services concerned: ${rule.services}`, {
      consequence: rule.consequence,
      remedy: rule.remedy === '' ? INSTEAD : `${rule.remedy}, or ${INSTEAD}`,
    }),
  );
  return [fine(name, `${detail}, without weir's extensions`), ...lost, ...wrong];
}
