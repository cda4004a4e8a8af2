/** Devices whose packets do not begin with an Ethernet header at tc ingress, or begin with more than that: clients behind each are served. */
import { release } from 'node:os';
import { before, test } from 'node:test';
import { addOrSkip, clientsOf, far, near } from './clients.ts';
import { ip, netns, raise, routeServicesBy } from './ground.ts';
import { AWAY, clusterIP, FAMILIES, type Family, nodeAddress, numbered, slices } from './objects.ts';
import { tcp, udp } from './paths.ts';

const lab = await raise('tu', { pods: [AWAY], objects: [numbered('web', 1), ...slices({ of: 'web', pods: [AWAY] })] });
const { start, addClient, assertServed, assertAll } = clientsOf(lab);

/** A reset for a packet with tunnel metadata stops this kernel: see has_fatal_reset() in bpf/lib/ingress.h. */
const [major = 0, minor = 0] = release().split('.').map(Number);
const hasFatalReset = major < 6 || (major === 6 && minor < 12);

const HERE = [nodeAddress('n1'), nodeAddress('n1', 6)] as const;
const THERE = ['203.0.113.2', '2001:db8:1::2'] as const;

before(() => {
  for (const address of HERE) routeServicesBy(lab, address);
});

/** Both ends of a tunnel between the node and the outside. */
interface Tunnel {
  readonly kind: string;
  /** Parameters of the device between two addresses. */
  readonly device: (local: string, remote: string) => string;
  /** Whether the outer packets are IPv6. */
  readonly isOver6?: boolean;
  /** Families of the packets inside. */
  readonly families: readonly Family[];
  /** The node's device leads to any peer: a neighbour entry names the other end. */
  readonly hasManyPeers?: boolean;
  /** How the policies and states of IPsec recognise the packets of the device. */
  readonly ipsec?: string;
}

const between = (local: string, remote: string): string => `local ${local} remote ${remote}`;

const TUNNELS: readonly Tunnel[] = [
  { kind: 'ipip', device: between, families: [4] },
  { kind: 'sit', device: between, families: [6] },
  { kind: 'gre', device: between, families: FAMILIES },
  { kind: 'gre', device: (local, remote) => `local ${local} ${remote} key 3`, families: FAMILIES, hasManyPeers: true },
  { kind: 'ip6tnl', device: (local, remote) => `mode any ${between(local, remote)}`, isOver6: true, families: FAMILIES },
  { kind: 'ip6gre', device: between, isOver6: true, families: FAMILIES },
  { kind: 'vti', device: (local, remote) => `${between(local, remote)} key 7`, families: FAMILIES, ipsec: 'mark 7' },
  { kind: 'xfrm', device: () => 'dev eth0 if_id 9', families: FAMILIES, ipsec: 'if_id 9' },
];

const KEY = '0x0102030405060708090a0b0c0d0e0f1011121314';

/** States and policies of IPsec in tunnel mode between both ends, as `place` needs them. */
function addIpsec(place: string, local: string, remote: string, which: string): void {
  const mark = which.startsWith('if_id') ? ` ${which}` : '';
  for (const [from, to] of [
    [local, remote],
    [remote, local],
  ])
    ip(
      lab,
      place,
      `xfrm state add src ${from} dst ${to} proto esp spi ${which.split(' ')[1]} mode tunnel flag af-unspec aead rfc4106(gcm(aes)) ${KEY} 128${mark}`,
    );
  for (const any of ['0.0.0.0/0', '::/0'])
    for (const direction of ['out', 'in', 'fwd']) {
      const [from, to] = direction === 'out' ? [local, remote] : [remote, local];
      ip(lab, place, `xfrm policy add src ${any} dst ${any} dir ${direction} ${which} tmpl src ${from} dst ${to} proto esp mode tunnel`);
    }
}

for (const [i, { kind, device, isOver6, families, hasManyPeers, ipsec }] of TUNNELS.entries())
  test(`a client behind a device of kind ${kind}${hasManyPeers ? ' with many peers' : ''} is served`, async (context) => {
    const [n, name] = [10 + i, `tun${i}`];
    const [here, there] = [HERE[isOver6 ? 1 : 0], THERE[isOver6 ? 1 : 0]];
    if (!addOrSkip(context, lab, 'n1', `${name} type ${kind} ${device(here, hasManyPeers ? '' : there)}`.replaceAll(/ +/g, ' '))) return;
    start('n1', name, near(n));
    for (const address of hasManyPeers ? far(n) : []) ip(lab, 'n1', `neigh add ${address.split('/')[0]} lladdr ${there} dev ${name}`);
    addClient(`t${i}`, n, (client) => {
      ip(lab, 'outside', `link add ${name} type ${kind} ${device(there, hasManyPeers ? `remote ${here}` : here)}`);
      ip(lab, 'outside', `link set ${name} netns ${client}`);
      return name;
    });
    if (ipsec !== undefined) {
      addIpsec('n1', here, there, ipsec);
      addIpsec('outside', there, here, ipsec);
      // The kernel asks the namespace of the device for policies, too
      addIpsec(`t${i}`, there, here, ipsec);
    }
    await assertServed(`t${i}`, name, families);
    for (const family of families) {
      await assertAll(`t${i}`, udp(clusterIP(1, family), 81), 'refused');
      await assertAll(`t${i}`, tcp(clusterIP(1, family), 81), hasManyPeers && hasFatalReset ? 'dropped' : 'refused');
    }
    // VTI would take the packets of the next device
    ip(lab, 'n1', `link del ${name}`);
    ip(lab, `t${i}`, `link del ${name}`);
  });

test('a client behind a VXLAN tunnel that carries bare IP packets is served', async (context) => {
  const route = (place: string, to: readonly string[], outer: string): void => {
    for (const [family, address] of to.entries())
      ip(lab, place, `${family ? '-6 ' : ''}route replace ${address.split('/')[0]} encap ip id 7 dst ${outer} dev vx0`);
  };
  if (!addOrSkip(context, lab, 'n1', 'vx0 type vxlan gpe external dstport 4790')) return;
  start('n1', 'vx0', near(30));
  route('n1', far(30), THERE[0]);
  ip(lab, '', `netns add ${netns(lab, 'x30')}`);
  ip(lab, 'outside', 'link add vx0 type vxlan gpe external dstport 4790');
  ip(lab, 'outside', `link set vx0 netns ${netns(lab, 'x30')}`);
  start('x30', 'vx0', far(30));
  route('x30', ['default', 'default'], HERE[0]);
  await assertServed('x30', 'vx0');
});
