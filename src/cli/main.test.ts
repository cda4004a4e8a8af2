import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inScratchNetns } from '#kernel/node/netns.ts';
import { sysctl } from '#kernel/node/sysctl.ts';
import { skipIf, whyNoKernel } from '#support/kernel-ground.ts';

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

test('--version prints the version of package.json, also where kube-proxy has the flag', () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
  for (const argv of [['--version'], ['run', '--version'], ['run', '--version=raw']]) {
    const { status, stdout } = weir(...argv);
    assert.deepEqual({ status, stdout }, { status: 0, stdout: `${version}\n` });
  }
});

test('run --init-only sets sysctls and ends; flags without effect are logged', skipIf(whyNoKernel()), () => {
  inScratchNetns(() => {
    const flags = ['--conntrack-max-per-core=0', '--conntrack_udp_timeout=77s', '--proxy-mode=iptables', '--cluster-cidr=10.0.0.0/8'];
    const { status, stderr } = weir('run', '--init-only', ...flags);
    assert.equal(status, 0, stderr);
    assert.equal(sysctl('net.netfilter.nf_conntrack_udp_timeout'), '77');
    assert.match(stderr, /WARN {2}--proxy-mode has no effect: weir has its own datapath\n/);
    assert.match(stderr, /Ended, because of --init-only/);
  });
});

test('run --cleanup removes what an agent left, and ends', skipIf(whyNoKernel()), () => {
  inScratchNetns(() => {
    const { status, stdout } = weir('run', '--cleanup', '--state-dir=/nowhere', '--journal-dir=');
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'Nothing of weir was here\n' });
  });
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
