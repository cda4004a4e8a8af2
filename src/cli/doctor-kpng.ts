/** The part of `weir doctor` about a KPNG server. */
import type { SourceConfig } from '#config/config.ts';
import { readTlsFiles } from '#grpc/tls-files.ts';
import { degraded, type Finding, fine, missing } from '#kernel/doctor/finding.ts';
import { formatTarget } from '#lib/target.ts';
import { lostRules } from '#sources/kpng/lost-rules.ts';
import { fetchPeerSnapshot } from '#sources/kpng/peer-snapshot.ts';

/** Timeout for the server's full state, ms. */
const WAIT_MS = 15_000;

const INSTEAD = 'follow weir kpng-server, or the API server';

/** Findings about a KPNG server: whether it answers a node, and which Service rules are lost with it. */
export async function probePeer({ target, tls }: Extract<SourceConfig, { type: 'kpng' }>, nodeName: string): Promise<readonly Finding[]> {
  const name = 'KPNG server';
  const address = formatTarget(target);
  const advice = {
    consequence: 'agents that follow it serve its last state, or nothing',
    remedy: 'start the server, and check its address and the certificates',
  };
  const files = readTlsFiles(tls);
  if (!files.ok) return [missing(name, files.errors.join('; '), advice)];
  const snapshot = await fetchPeerSnapshot({ target, tls: files.value, nodeName }, WAIT_MS);
  if (!snapshot.ok) return [missing(name, `${address} does not answer node ${nodeName}: ${snapshot.errors.join('; ')}`, advice)];
  const { isExtended, isIncomplete, services, endpoints, problems } = snapshot.value;
  const detail = `${address}, ${services.length} Services, ${endpoints} endpoints`;
  const [problem] = problems;
  const invalid =
    problem === undefined
      ? []
      : [
          degraded('KPNG messages', `${problems.length} problems, for example: ${problem}`, {
            consequence: 'agents leave these messages out',
            remedy: 'correct the objects where the server reads them',
          }),
        ];
  if (isExtended && isIncomplete)
    return [
      degraded(name, detail, { consequence: 'it cannot read all objects, so agents remove nothing', remedy: "check the server's log" }),
      ...invalid,
    ];
  if (isExtended) return [fine(name, `${detail}, with weir's extensions: nothing is lost`), ...invalid];
  const lost = lostRules(services).map((rule) =>
    degraded(`KPNG: ${rule.name}`, `not sent by this server, Services affected: ${rule.services}`, {
      consequence: rule.consequence,
      remedy: rule.remedy === '' ? INSTEAD : `${rule.remedy}, or ${INSTEAD}`,
    }),
  );
  return [fine(name, `${detail}, without weir's extensions`), ...lost, ...invalid];
}
