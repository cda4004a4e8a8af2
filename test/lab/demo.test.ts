import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { runDemo } from '#lab/demo/demo.ts';
import { removeLab } from '#lab/removal.ts';

const NAME = `d${process.pid}`;

after(() => removeLab(NAME));

for (const socketScope of ['all', 'host'] as const) {
  test(`every line of the demo is right with --socket-scope ${socketScope}`, async () => {
    const { lab, lines, conntrackEntry } = await runDemo({
      name: NAME,
      socketScope,
      signal: new AbortController().signal,
      onLine: () => {},
    });
    await lab.down();
    assert.deepEqual(
      lines.filter((line) => !line.right),
      [],
    );
    assert.equal(lines.length, 56);
    assert.match(conntrackEntry, /src=203\.0\.113\.2 dst=192\.0\.2\.11 .* src=10\.244\.2\.95/);
  });
}
