import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const MAIN = join(import.meta.dirname, 'main.ts');

function weir(...argv: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...argv], { encoding: 'utf8' });
}

const WRONG: readonly (readonly [argv: string, says: RegExp])[] = [
  ['', /^Usage: weir /],
  ['fly', /unknown command 'fly'/],
  ['run --fly', /unknown option '--fly'\n\(weir COMMAND --help lists the options\)/],
  ['run', /Cannot tell where the API server is: .* Give one, or a folder with --source manifests --dir/],
  ['run --kubeconfig /nowhere/config', /Cannot read kubeconfig \/nowhere\/config: no such file or directory/],
  ['run --dir /tmp -v=two', /--v is "two", must be a whole number/],
  ['run --dir /tmp --map-size backends', /--map-size is "backends", must be NAME=N/],
  ['run --config /nowhere/proxy.conf', /Cannot read the --config file: .*no such file/],
  ['dump -o xml', /Allowed choices are table, json/],
  ['cleanup --conntrack-mark 3', /--conntrack-mark is "3", must be one bit/],
  ['lab exec', /missing required argument 'place'/],
];

test('wrong usage or configuration ends with 2 and names the error', () => {
  for (const [argv, says] of WRONG) {
    const { status, stdout, stderr } = weir(...argv.split(' ').filter(Boolean));
    assert.equal(status, 2, `weir ${argv}: ${stderr}`);
    assert.match(stderr, says);
    assert.equal(stdout, '');
  }
});

test('--version prints the version of package.json', () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
  const { status, stdout } = weir('--version');
  assert.deepEqual({ status, stdout }, { status: 0, stdout: `${version}\n` });
});

test('a command that fails ends with 1 and names the reason', () => {
  const { status, stderr } = weir('dump', '--state-dir', '/nowhere');
  assert.equal(status, 1);
  assert.match(stderr, /^weir: Cannot dump: \/nowhere holds no tables of weir/);
});

test('help exits with 0', () => {
  const { status, stdout } = weir('lab', 'up', '--help');
  assert.equal(status, 0);
  assert.match(stdout, /--agent-flag/);
});
