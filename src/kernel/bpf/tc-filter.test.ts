import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { addVeth, objectsDir, run, scratchNetns, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { CStruct, checked } from '../ffi/ffi.ts';
import { inNetns } from '../node/netns.ts';
import { loadObject } from './bpf-object.ts';
import { removeState } from './cleanup.ts';
import { libbpf } from './libbpf.ts';
import { tableSizes } from './table-sizes.ts';
import { attachFilter, detachFilter, hasFilter } from './tc-filter.ts';

const kernel = skipIf(whyNoDatapath());

/** Descriptors of the packet programs, and a device to put them on. */
function ground(t: TestContext) {
  const sizes = tableSizes({ slots: 100, backends: 100, affinity: 100, socket_flows: 100 });
  const object = loadObject(`${objectsDir}/kfuncs.bpf.o`, { folder: undefined, sizes });
  t.after(() => object.close());
  const netns = scratchNetns(t);
  return { netns, ifindex: addVeth(netns, 'a', 'b'), programs: object.programs };
}

/** A filter of another program: another handle and priority. */
function attachForeign(ifindex: number, program: number): void {
  const hook = CStruct.sized(24).u32(8, ifindex).u32(12, 1).bytes;
  checked(libbpf.bpf_tc_attach(hook, CStruct.sized(32).u32(8, program).u32(20, 1).u32(24, 9).bytes), 'attach a filter');
}

const filters = () => run('tc', 'filter', 'show', 'dev', 'a', 'ingress');

test('a filter is attached, replaced by the next program, found and detached', kernel, (t) => {
  const { netns, ifindex, programs } = ground(t);
  inNetns(netns, () => {
    assert.equal(hasFilter(ifindex), false);
    for (const { fd, name } of programs) {
      attachFilter(ifindex, fd);
      assert.equal(filters().match(/direct-action/g)?.length, 1);
      assert.match(filters(), new RegExp(name.slice(0, 15)));
    }
    assert.equal(hasFilter(ifindex), true);
    assert.equal(detachFilter(ifindex), true);
    assert.equal(detachFilter(ifindex), false);
    assert.equal(hasFilter(ifindex), false);
    assert.equal(detachFilter(99_999), false);
  });
});

test("cleanup removes weir's filter and leaves all others", kernel, (t) => {
  const { netns, ifindex, programs } = ground(t);
  inNetns(netns, () => {
    attachFilter(ifindex, programs[0]?.fd ?? -1);
    attachForeign(ifindex, programs[0]?.fd ?? -1);
    assert.deepEqual(removeState('/run/weir-nowhere'), ['Detached the packet program from device a (clsact)']);
    assert.match(filters(), /pref 9 bpf .* handle 0x1 /);
  });
});

test('a device that is not there is an error with its index', kernel, (t) => {
  const { netns, programs } = ground(t);
  assert.throws(() => inNetns(netns, () => attachFilter(99_999, programs[0]?.fd ?? -1)), {
    message: /^Cannot attach a clsact filter to device 99999: /,
  });
});
