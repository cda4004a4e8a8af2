import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADDRESS_CLUSTER_IP, TAG_OF_WEIR, TAG_REFUSED } from '#abi/generated.ts';
import { type Address, ZERO_ADDRESS } from '#lib/address.ts';
import { addVeth, objectsDir, openSmall, run, scratchNetns, scratchState, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { inNetns } from '../node/netns.ts';
import { loadObject } from './bpf-object.ts';
import { runOnFrame } from './frame-run.ts';
import { mapFolders } from './state-folder.ts';
import { tableSizes } from './table-sizes.ts';

const kernel = skipIf(whyNoDatapath());

/** A TCP SYN from 203.0.113.2 to 172.30.0.1, port 80, for the device with this Ethernet address. */
const SYN = Buffer.from(
  `020000000002 000000000000 0800 45000028 00000000 40060000 cb007102 ac1e0001 03e80050 00000000 00000000 50020400 00000000`.replaceAll(
    ' ',
    '',
  ),
  'hex',
);

test('a program answers for a frame with its verdict and its tag', kernel, (t) => {
  const [netns, stateDir] = [scratchNetns(t), scratchState(t)];
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  const folder = `${stateDir}/${mapFolders(stateDir)[0]}`;
  const object = loadObject(`${objectsDir}/kfuncs.bpf.o`, { folder, sizes: tableSizes({}) });
  t.after(() => object.close());
  const program = object.programs.find(({ name }) => name === 'weir_ingress')?.fd ?? -1;
  const ifindex = addVeth(netns, 'a', 'b');
  inNetns(netns, () => {
    run('ip', 'link', 'set', 'dev', 'a', 'address', '02:00:00:00:00:02', 'up');
    assert.deepEqual(runOnFrame(program, SYN, ifindex), { action: -1, priority: 0 });
    const settings = {
      nodeNetnsCookie: 1n,
      flags: 0,
      conntrackMark: 1,
      snat4: ZERO_ADDRESS[4],
      snat6: ZERO_ADDRESS[6],
    };
    datapath.tables.put('settings', [{ key: { value: 0 }, value: settings }]);
    datapath.tables.put('addresses', [{ key: { address: '172.30.0.1' as Address }, value: { flags: ADDRESS_CLUSTER_IP } }]);
    assert.deepEqual(runOnFrame(program, SYN, ifindex), { action: -1, priority: TAG_OF_WEIR | TAG_REFUSED });
    assert.throws(() => runOnFrame(program, SYN, ifindex + 100), { code: 'ENODEV' });
    assert.throws(() => runOnFrame(-1, SYN, ifindex), { code: 'EBADF' });
  });
});
