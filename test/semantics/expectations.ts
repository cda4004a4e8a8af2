/** Lines of `expect`: FROM -> ADDRESS:PORT[/udp|/sctp] [via sockets|via packets] [by NODE]: ANSWER. FROM may be an IPv4 address. */
import { type Address, type Family, familyOf, parseAddress } from '#lib/address.ts';
import type { Protocol } from '#model/service.ts';
import type { Answer, Question, Via } from './scenario.ts';
import { inFamily, PLACES, type Place, placeOf } from './world.ts';

/** A line of `expect` and the step around it. */
export interface Surroundings {
  readonly line: Question['line'];
  readonly families: readonly Family[];
  /** Addresses of each node, IPv4. */
  readonly nodeAddresses: ReadonlyMap<string, readonly string[]>;
}

const LINE =
  /^(?<from>\S+) -> (?<to>\S+):(?<port>\d+)(?:\/(?<protocol>tcp|udp|sctp))?(?: via (?<via>sockets|packets))?(?: by (?<by>\S+))?: (?<answer>.+)$/;

/** The questions of a line, one per family and way (sockets, packets). Throws if the line is invalid. */
export function questionsOf(around: Surroundings): readonly Question[] {
  const found = LINE.exec(around.line.text)?.groups;
  if (found === undefined) throw new Error('The line must be FROM -> ADDRESS:PORT[/udp|/sctp] [via sockets|packets] [by NODE]: ANSWER');
  const { to = '', via, by, answer = '' } = found;
  const from = clientAt(found.from ?? '');
  const protocol = (found.protocol ?? 'tcp').toUpperCase() as Protocol;
  const dialled = parseAddress(to.replace(/^\[(.*)\]$/, '$1'));
  if (dialled === undefined) throw new Error(`Address is ${to}, must be an IP address`);
  const families: readonly Family[] = familyOf(dialled) === 6 ? [6] : around.families;
  const ways = waysOf(from, protocol, via as Via | undefined);
  return families.flatMap((family) =>
    ways.map((way) => ({
      line: around.line,
      from: from.name,
      source: addressOf(from.name, family, around),
      address: familyOf(dialled) === family ? dialled : inFamily(dialled, family),
      port: Number(found.port),
      protocol,
      via: way,
      by: firstNode(from, dialled, by, around),
      family,
      answer: answerOf(answer, from.name, family, around),
    })),
  );
}

function knownPlace(name: string): Place {
  const place = placeOf(name);
  if (place === undefined) throw new Error(`Name is ${name}, must be one of ${PLACES.map((one) => one.name).join(', ')}`);
  return place;
}

/** A place by its name, or an outside client by its address. */
function clientAt(name: string): Place {
  if (parseAddress(name) === undefined) return knownPlace(name);
  return { name, kind: 'outside', node: '', addresses: { 4: inFamily(name, 4), 6: inFamily(name, 6) } };
}

/** Ways of a client. The socket path excludes SCTP and outside clients; packets of a node's processes enter by no device. */
function waysOf({ kind, name }: Place, protocol: Protocol, wanted: Via | undefined): readonly Via[] {
  const possible: readonly Via[] =
    protocol === 'SCTP' || kind === 'outside' ? ['packets'] : kind === 'node' ? ['sockets'] : ['sockets', 'packets'];
  if (wanted === undefined) return possible;
  if (!possible.includes(wanted)) throw new Error(`${name} dials via ${wanted}, must be via ${possible.join(' or ')}`);
  return [wanted];
}

function firstNode({ kind, node, name }: Place, dialled: Address, by: string | undefined, { nodeAddresses }: Surroundings): string {
  if (kind !== 'outside') {
    if (by !== undefined) throw new Error(`${name} dials by ${by}, only outside clients choose a node`);
    return node;
  }
  const owner = [...nodeAddresses].find(([, own]) => own.some((ip) => [4, 6].some((family) => inFamily(ip, family as Family) === dialled)));
  const chosen = by ?? owner?.[0] ?? 'n1';
  if (!nodeAddresses.has(chosen)) throw new Error(`Way is by ${chosen}, must be by a node: ${[...nodeAddresses.keys()].join(', ')}`);
  return chosen;
}

const UNANSWERED = ['refused', 'dropped', 'untouched'] as const;

/** `a1:8080 as n1, b1:8080`: groups by the client address that the endpoints see; without `as`, the client's own. Ports are optional. */
function answerOf(text: string, from: string, family: Family, around: Surroundings): Answer {
  const none = UNANSWERED.find((word) => word === text);
  if (none !== undefined) return none;
  return text.split(/,\s*/).flatMap((group) => {
    const [, names = '', client = from] = /^(.+?)(?: as (\S+))?$/.exec(group) ?? [];
    return names.split(/\s+/).map((word) => {
      const [name = '', port] = word.split(':');
      return { name: knownPlace(name).name, client: addressOf(client, family, around), ...(port && { port: Number(port) }) };
    });
  });
}

/** Address of a place, or an IPv4 address. */
function addressOf(name: string, family: Family, { nodeAddresses }: Surroundings): Address {
  const [first] = nodeAddresses.get(name) ?? [];
  if (first !== undefined) return inFamily(first, family);
  return parseAddress(name) === undefined ? knownPlace(name).addresses[family] : inFamily(name, family);
}
