import { bpffsDir, manifestsDir } from '#lab/paths.ts';
import type { LabPod, Topology } from '#lab/topology.ts';
import type { Service } from '#model/service.ts';
import { formatTable } from './format.ts';

/** Nodes, pods and Services of a lab as tables, and differences from the real cluster. */
export const topologyText = (lab: Topology): string =>
  [
    formatTable(
      ['NODE', 'ADDRESSES'],
      lab.nodes.map(({ name, addresses }) => [name, addresses.join(' ')]),
    ),
    formatTable(
      ['POD', 'NODE', 'ADDRESSES', 'SERVES'],
      lab.pods.map((pod) => [pod.name, pod.node, pod.addresses.join(' '), servedPorts(lab, pod)]),
    ),
    formatTable(['SERVICE', 'ADDRESSES', 'PORTS'], lab.services.filter(({ proxied }) => proxied).map(serviceRow)),
    ...lab.notes.map((note) => `Note: ${note}`),
  ].join('\n\n');

const servedPorts = (lab: Topology, pod: LabPod): string => {
  const ports = lab.servers.filter((server) => server.pod === pod.name).map(({ port, protocol }) => `${port}/${protocol}`);
  return [...new Set(ports)].join(' ');
};

const serviceRow = ({ namespace, name, clusterIPs, externalIPs, loadBalancerIPs, ports }: Service): string[] => [
  `${namespace}/${name}`,
  [...clusterIPs, ...externalIPs, ...loadBalancerIPs].join(' '),
  ports.map(({ port, protocol, nodePort }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`).join(' '),
];

/** Commands to try in a running lab. */
export function hintsText(lab: Topology): string {
  const option = `--name ${lab.name} `;
  const node = lab.nodes[0]?.name ?? '';
  const pod = lab.pods.find(({ ownNetns }) => ownNetns)?.name ?? node;
  const service = lab.services.find(({ proxied, ports }) => proxied && ports.some(({ protocol }) => protocol === 'TCP'));
  const port = service?.ports.find(({ protocol }) => protocol === 'TCP')?.port ?? 80;
  return [
    'Try:',
    `  bin/weir lab exec ${option}${pod} bash -c 'head -1 </dev/tcp/${service?.clusterIPs[0] ?? 'ADDRESS'}/${port}'`,
    `  bin/weir lab exec ${option}${node} conntrack -L`,
    `  bin/weir dump --state-dir ${bpffsDir(lab.name, node)}`,
    `  edit a file in ${manifestsDir(lab.name)}: the agents follow`,
    `  bin/weir lab down ${option}`.trimEnd(),
  ].join('\n');
}
