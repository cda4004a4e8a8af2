import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '#lib/address.ts';
import { run, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { inNetns } from '../node/netns.ts';
import { FlowLookup, type FlowTuple } from './flow-lookup.ts';

const kernel = skipIf(whyNoKernel());

const insert = ({ source, sourcePort, destination, destinationPort }: FlowTuple, backend: string): string => {
  const ports = ['--sport', `${sourcePort}`, '--dport', `${destinationPort}`];
  return run('conntrack', '-I', '-p', 'udp', '-s', source, '-d', destination, ...ports, '-t', '60', '--dst-nat', backend);
};

const FAMILIES: readonly (readonly [string, string, string])[] = [
  ['203.0.113.2', '172.30.0.1', '10.0.0.1'],
  ['fd00::2', 'fd00::30:1', 'fd00::10:1'],
];

for (const [client, service, backend] of FAMILIES) {
  test(`an entry is read once by its exact tuple, others stay: ${service}`, kernel, (t) => {
    inNetns(scratchNetns(t), () => {
      const tuple = {
        protocol: 17,
        source: client as Address,
        sourcePort: 1000,
        destination: service as Address,
        destinationPort: 53,
      };
      const neighbour = { ...tuple, sourcePort: 1001 };
      const lookup = new FlowLookup();
      t.after(() => lookup.close());
      insert(tuple, backend);
      insert(neighbour, backend);
      const reply = { protocol: 17, source: backend, sourcePort: 53, destination: client, destinationPort: 1000 };
      assert.deepEqual(lookup.take(tuple), reply);
      assert.equal(lookup.take(tuple), undefined);
      assert.deepEqual(lookup.take(neighbour), { ...reply, destinationPort: 1001 });
    });
  });
}
