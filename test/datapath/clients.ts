/** Clients behind devices that a test adds to a node, each in a network namespace of its own that the lab does not know. */
import type { TestContext } from 'node:test';
import { Dialer } from '#lab/dialer.ts';
import type { Lab } from '#lab/lab.ts';
import type { Target } from '#lab/probe.ts';
import { ip, netns } from './ground.ts';
import { clusterIP, FAMILIES, type Family, nodeAddress, nodePort } from './objects.ts';
import { answer, assertPaths, type Dials, type Expected, tcp, udp, until } from './paths.ts';

/** Number of the Service that the clients dial; its pod is p2. */
export const WEB = 1;

/** Addresses of network `n`: the node's and its client's. */
export const near = (n: number): string[] => [`10.55.${n}.1/24`, `fd55:${n}::1/64`];
export const far = (n: number): string[] => [`10.55.${n}.2/24`, `fd55:${n}::2/64`];

/** Adds a device, or skips the test with the answer of the kernel. */
export function addOrSkip(context: TestContext, lab: Lab, place: string, line: string): boolean {
  try {
    ip(lab, place, `link add ${line}`);
    return true;
  } catch (error) {
    context.skip(`${error instanceof Error ? error.message : error}`);
    return false;
  }
}

/** The Service at node n1: its NodePort and its ClusterIP, over TCP and UDP. */
const targets = (families: readonly Family[]): [Target, Family][] =>
  families.flatMap((family) =>
    [tcp, udp].flatMap((to): [Target, Family][] => [
      [to(nodeAddress('n1', family), nodePort(WEB)), family],
      [to(clusterIP(WEB, family), 80), family],
    ]),
  );

/** What tests of one lab do with such clients. */
export function clientsOf(lab: Lab) {
  /** Gives a device addresses and starts it. */
  function start(place: string, device: string, addresses: readonly string[] = []): void {
    for (const address of addresses) ip(lab, place, `addr add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`);
    ip(lab, place, `link set ${device} up`);
  }

  /** Makes a namespace for a client; `wire` gives it a device. Everything else is reached by way of the node's address in network `n`. */
  function addClient(name: string, n: number, wire: (netnsOfClient: string) => string): void {
    ip(lab, '', `netns add ${netns(lab, name)}`);
    const device = wire(netns(lab, name));
    start(name, device, far(n));
    for (const [family, address] of near(n).entries())
      ip(lab, name, `${family ? '-6 ' : ''}route add default via ${address.split('/')[0]} dev ${device} onlink`);
  }

  /** A veth from a client to a node's (or the router's) new device. */
  function addVeth(client: string, n: number, device: string, place = 'n1'): void {
    addClient(client, n, (peer) => {
      ip(lab, place, `link add ${device} type veth peer name eth0 netns ${peer}`);
      return 'eth0';
    });
  }

  async function fromClient(name: string, run: (dials: Dials) => Promise<void>): Promise<void> {
    const dialer = new Dialer({ name, netns: netns(lab, name), cgroup: lab.place('outside').cgroup });
    try {
      await run({ dial: (_, target) => dialer.dial(target) });
    } finally {
      dialer.close();
    }
  }

  /** The last that the agent of n1 said about a device: `Attached`, `Detached` or nothing. */
  const lastWord = (device: string): string | undefined =>
    lab
      .agent('n1')
      .log.match(new RegExp(`(Attached|Detached) the packet program.*\\b${device}\\b`, 'g'))
      ?.at(-1)
      ?.slice(0, 8);

  const untilLastWord = (device: string, word: string): Promise<void> =>
    until(`the agent says "${word}" of ${device}`, () => lastWord(device) === word);

  const assertAll = (client: string, target: Target, expected: Expected): Promise<void> =>
    fromClient(client, (dials) => assertPaths(dials, [[client, target, expected]]));

  /** Waits until the device that a client comes in by has the program. */
  async function assertServed(client: string, device: string, families = FAMILIES): Promise<void> {
    await untilLastWord(device, 'Attached');
    await fromClient(client, (dials) =>
      assertPaths(
        dials,
        targets(families).map(([target, family]) => [client, target, answer(nodeAddress('n1', family), 'p2')]),
      ),
    );
  }

  return { start, addClient, addVeth, assertServed, assertAll, lastWord, untilLastWord };
}
