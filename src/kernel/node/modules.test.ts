import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { runNft } from '../nftables/libnftables.ts';
import { absentModules, loadModules, WISHES } from './modules.ts';
import { inScratchNetns } from './netns.ts';

test('the kernel takes the rules that make it load modules, and forgets them', skipIf(whyNoKernel()), () => {
  inScratchNetns(() => {
    runNft(WISHES, 'check');
    loadModules();
    assert.equal(runNft('list ruleset'), '');
  });
  assert.deepEqual(absentModules(), []);
});

test('rules that the kernel refuses are refused in a check, too', skipIf(whyNoKernel()), () => {
  inScratchNetns(() => assert.throws(() => runNft('add chain inet nowhere c', 'check'), /No such file or directory/));
});
