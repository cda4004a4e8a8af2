import assert from 'node:assert/strict';
import { basename, extname } from 'node:path';
import { test } from 'node:test';
import { textOf, trackedFiles } from './tree.ts';

/** Words that say nothing. */
const EMPTY_WORD = /^(?:utils?|helpers?|managers?|handlers?|infos?|data|common|misc)$/;

const sources = (): string[] => trackedFiles(/\.(?:ts|[ch]|sh)$/);

test('file names describe the contents', () => {
  const wrong = sources().filter((path) => path.split(/[/._-]/).some((word) => EMPTY_WORD.test(word)));
  assert.deepEqual(wrong, []);
  assert.ok(EMPTY_WORD.test('helpers') && !EMPTY_WORD.test('datapath'));
});

test('file names are kebab-case in TypeScript and snake_case in C', () => {
  const files = sources();
  const wrong = files.filter((path) => {
    const name = basename(path, extname(path));
    return !(path.endsWith('.ts') ? /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?$/ : /^[a-z0-9]+(?:[_-][a-z0-9]+)*(?:\.bpf)?$/).test(name);
  });
  assert.deepEqual(wrong, []);
  assert.ok(files.length >= 50, `saw ${files.length} files`);
});

test('names of maps fit in the 15 bytes that the kernel keeps', () => {
  const maps = trackedFiles(/^bpf\/.*\.[ch]$/).flatMap((path) =>
    [...textOf(path).matchAll(/\}\s*(\w+) SEC\("\.maps"\)/g)].map(([, name = '']) => name),
  );
  assert.deepEqual(
    maps.filter((name) => name.length > 15),
    [],
  );
  assert.ok(maps.length >= 13, `saw ${maps.length} maps`);
});

test('no tracked file names a place of the machine that it was written on', () => {
  const place = new RegExp(`(?:^|[\\s"'\`(=])/(?:${['work', 'home', 'Users'].join('|')})/`, 'm');
  const files = trackedFiles().filter((path) => !/\.(?:png|gz)$/.test(path));
  const wrong = files.flatMap((path) => (place.test(textOf(path)) ? [path] : []));
  assert.deepEqual(wrong, []);
  assert.ok(place.test(['cd ', 'work', 'x'].join('/')));
});

test('the lock file names no registry', () => {
  assert.ok(!textOf('package-lock.json').includes('"resolved"'));
});
