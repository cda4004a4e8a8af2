import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTarget, isPrivate, parseTarget } from './target.ts';

test('targets parse in the notation of gRPC and of KPNG, and their text parses to the same target', () => {
  const texts: Readonly<Record<string, string>> = {
    'unix:///run/kpng.sock': 'unix:///run/kpng.sock',
    'unix:/run/kpng.sock': 'unix:///run/kpng.sock',
    '127.0.0.1:12090': '127.0.0.1:12090',
    'tcp://:12090': ':12090',
    'dns:///kpng.example:443': 'kpng.example:443',
    '[fd00::1]:12090': '[fd00::1]:12090',
  };
  for (const [text, printed] of Object.entries(texts)) {
    const target = parseTarget(text);
    assert.ok(target, text);
    assert.equal(formatTarget(target), printed);
    assert.deepEqual(parseTarget(printed), target);
  }
  for (const text of ['', 'kpng', '1.2.3.4', ':0', ':70000', 'unix:', 'unix://run', 'fd00::1:80', '[x]:80', 'http://a:80', 'a/b:80'])
    assert.equal(parseTarget(text), undefined, text);
});

test('only Unix sockets and loopback are private', () => {
  const is = (text: string): boolean => isPrivate(parseTarget(text) ?? assert.fail(text));
  for (const text of ['unix:///a', '127.0.0.1:1', '127.9.9.9:1', 'localhost:1', '[::1]:1']) assert.ok(is(text), text);
  for (const text of [':1', '0.0.0.0:1', '[::]:1', '10.0.0.1:1', '127.0.0.1.example:1', '127.999.1.1:1', 'localhost.example:1'])
    assert.ok(!is(text), text);
});
