import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServerConfig } from './server-config.ts';

const parse = (...flags: string[]) =>
  parseServerConfig(
    new Map(
      flags.map((flag) => {
        const [, name = '', text = 'true'] = /^--([^=]+)(?:=(.*))?$/.exec(flag) ?? [];
        return [name, { text, from: `--${name}` }] as const;
      }),
    ),
  );

const TLS = ['crt', 'key', 'ca'].map((name) => `--listen-tls-${name}=/${name}`);

test('by default a server listens on loopback, without TLS', () => {
  const parsed = parse('--dir=/manifests');
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value.config, {
    source: { type: 'manifests', dir: '/manifests' },
    listen: { type: 'tcp', host: '127.0.0.1', port: 12090 },
    ...{ tls: undefined, verifyNodeNames: false, verbosity: 0 },
  });
});

test('an address beyond loopback requires mutual TLS, and names are verified by certificates', () => {
  const parsed = parse('--dir=/m', '--listen=:12090', '--verify-node-names', ...TLS);
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value.config.tls, { cert: '/crt', key: '/key', ca: '/ca' });
  const refused: readonly (readonly [flags: readonly string[], says: RegExp])[] = [
    [['--listen=:12090'], /^--listen :12090 is reachable from other machines, so it needs mutual TLS: give --listen-tls-crt, /],
    [['--listen=10.0.0.1:80', ...TLS.slice(1)], /^--listen-tls-crt, --listen-tls-key, --listen-tls-ca belong together/],
    [['--verify-node-names'], /^--verify-node-names needs the certificates of clients/],
    [['--listen=unix:///a', ...TLS], /is a Unix socket, which has no TLS/],
    [['--listen=nowhere'], /^--listen is "nowhere", must be an address such as/],
    [
      ['--source=kpng=10.0.0.1:12090'],
      /^--source kpng=10.0.0.1:12090 is reachable from other machines, so it needs mutual TLS: give --tls-crt, /,
    ],
    [['--source=kpng=:12090'], /^--source is "kpng=:12090", must be kpng= and an address/],
    [['--source=etcd'], /^--source is "etcd", must be api, manifests or kpng=ADDRESS/],
  ];
  for (const [flags, says] of refused) {
    const result = parse(...(flags.some((flag) => flag.startsWith('--source')) ? [] : ['--dir=/m']), ...flags);
    assert.ok(!result.ok, flags.join(' '));
    assert.match(result.errors.join('; '), says);
  }
});
