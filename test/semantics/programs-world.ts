/** A node for the judge of the loaded programs: two anonymous network namespaces, which end with this process. */
import { closeSync } from 'node:fs';
import { listLinks } from '#kernel/netlink/links.ts';
import { inNetns, inScratchNetns, openNetns } from '#kernel/node/netns.ts';
import type { Family } from '#lib/address.ts';
import { run } from '#support/kernel-ground.ts';
import { PLACES, podCidr, twin } from './world.ts';

/** Ethernet address of the devices that receive frames. */
export const ETHERNET_ADDRESS = Buffer.from('020000000002', 'hex');

/** The network namespaces of the node and of one of its pods. */
export interface ProgramWorld {
  /** Paths for inNetns. */
  readonly node: string;
  readonly pod: string;
  /** Interface index of a device that receives frames. Creates a bridge at the first call for it. */
  device(name: string): number;
  /** Makes the pods' device a port of a bridge; undefined: of none. */
  attachPods(bridge: string | undefined): void;
  close(): void;
}

/** The devices to the wire and to the pods, named as in the lab. */
export const WIRE_DEVICE = 'eth0';
export const POD_DEVICE = 'veth1';

const ROUTERS: Readonly<Record<Family, string>> = { 4: '192.168.0.1', 6: twin('192.168.0.1') };

/** Creates the namespaces of a node of world.ts, with its addresses and routes to all pods. */
export function makeProgramWorld(name: string): ProgramWorld {
  const pod = scratch([]);
  const node = scratch([...podWire(`/proc/${process.pid}/fd/${pod}`), ...nodeLines(name)]);
  const [nodePath, podPath] = [node, pod].map((fd) => `/proc/self/fd/${fd}`) as [string, string];
  inNetns(podPath, () => runIp(podLines(name)));
  const devices = new Map<string, number>();
  const find = (device: string): number => inNetns(nodePath, () => indexOf(device) ?? addBridge(device));
  return {
    node: nodePath,
    pod: podPath,
    device: (device) => devices.get(device) ?? devices.set(device, find(device)).get(device) ?? 0,
    attachPods(bridge) {
      const master = bridge === undefined ? ['nomaster'] : ['master', bridge];
      if (bridge !== undefined) this.device(bridge);
      inNetns(nodePath, () => run('ip', 'link', 'set', POD_DEVICE, ...master));
    },
    close: () => {
      closeSync(node);
      closeSync(pod);
    },
  };
}

const scratch = (lines: readonly string[]): number =>
  inScratchNetns(() => {
    run('sh', '-ec', ROUTER_SETTINGS);
    runIp(['link set lo up', ...lines]);
    return openNetns();
  });

const runIp = (lines: readonly string[]): unknown => run('sh', '-ec', `ip -batch - <<'END'\n${lines.join('\n')}\nEND\n`);

const ROUTER_SETTINGS = 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding';

const HARDWARE_ADDRESS = ETHERNET_ADDRESS.toString('hex').replaceAll(/..(?!$)/g, '$&:');

/** The node's device for its pods, whose other end is in the pod's namespace. */
const podWire = (podNetns: string): string[] => [
  `link add ${POD_DEVICE} address ${HARDWARE_ADDRESS} type veth peer name ${WIRE_DEVICE} netns ${podNetns}`,
  `link set ${POD_DEVICE} up`,
];

function nodeLines(name: string): string[] {
  const [other] = PLACES.filter((place) => place.kind === 'node' && place.name !== name);
  const own = addressesOf(name);
  return [
    `link add ${WIRE_DEVICE} address ${HARDWARE_ADDRESS} type veth peer name ${WIRE_DEVICE}-far`,
    `link set ${WIRE_DEVICE}-far up`,
    `link set ${WIRE_DEVICE} up`,
    `addr add ${own[4]}/24 dev ${WIRE_DEVICE}`,
    `addr add ${own[6]}/120 dev ${WIRE_DEVICE} nodad`,
    ...both(podCidr(name)).map((range) => `route add ${range} dev ${POD_DEVICE}`),
    ...(other ? both(podCidr(other.name)).map((range, i) => `route add ${range} via ${Object.values(other.addresses)[i]}`) : []),
    ...defaultRoutes(),
  ];
}

function podLines(name: string): string[] {
  const [pod] = PLACES.filter((place) => place.kind === 'pod' && place.node === name);
  const addresses = Object.entries(pod?.addresses ?? {});
  return [
    `link set ${WIRE_DEVICE} up`,
    ...addresses.map(([family, address]) => `addr add ${address}/${family === '4' ? 32 : '128'} dev ${WIRE_DEVICE} nodad`),
    `route add 0.0.0.0/0 dev ${WIRE_DEVICE}`,
    `route add ::/0 dev ${WIRE_DEVICE}`,
  ];
}

const defaultRoutes = (): string[] => Object.values(ROUTERS).map((router) => `route add default via ${router}`);

const both = (range: string): readonly string[] => [range, twin(range)];

function addressesOf(name: string): Readonly<Record<Family, string>> {
  const place = PLACES.find((one) => one.name === name && one.kind === 'node');
  if (place === undefined) throw new Error(`Node is ${name}, must be one of world.ts`);
  return place.addresses;
}

const indexOf = (name: string): number | undefined => listLinks().find((link) => link.name === name)?.ifindex;

function addBridge(name: string): number {
  run('ip', 'link', 'add', name, 'address', '02:00:00:00:00:02', 'type', 'bridge');
  run('ip', 'link', 'set', name, 'up');
  return indexOf(name) ?? 0;
}
