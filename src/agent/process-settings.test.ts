import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConntrackSettings } from '#config/config.ts';
import { inScratchNetns } from '#kernel/node/netns.ts';
import { setSysctl, sysctl } from '#kernel/node/sysctl.ts';
import { createLog } from '#observe/log.ts';
import { skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { applyProcessSettings, conntrackMax } from './process-settings.ts';

const LEFT: ConntrackSettings = {
  ...{ maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0, tcpCloseWaitTimeout: 0 },
  ...{ tcpBeLiberal: false, udpTimeout: 0, udpStreamTimeout: 0 },
};

test('the conntrack table takes so many entries per core, within the bounds of kube-proxy', () => {
  assert.equal(conntrackMax({ maxPerCore: 32_768, min: 131_072 }, 2), 131_072);
  assert.equal(conntrackMax({ maxPerCore: 32_768, min: 131_072 }, 16), 524_288);
  assert.equal(conntrackMax({ maxPerCore: 32_768, min: 131_072 }, 128), 1_048_576);
  assert.equal(conntrackMax({ maxPerCore: 32_768, min: 2_097_152 }, 4), 2_097_152);
  assert.equal(conntrackMax({ maxPerCore: 0, min: 131_072 }, 16), 0);
});

test('only configured sysctls of connection tracking are set, and only where they differ', skipIf(whyNoKernel()), () => {
  const names = ['tcp_timeout_established', 'tcp_timeout_close_wait', 'tcp_be_liberal', 'udp_timeout', 'udp_timeout_stream'];
  const values = (): (string | undefined)[] => names.map((name) => sysctl(`net.netfilter.nf_conntrack_${name}`));
  inScratchNetns(() => {
    const lines: string[] = [];
    const log = createLog(0, (line) => lines.push(line.replace(/^\S+ /, '').trim()));
    const before = values();
    applyProcessSettings({ conntrack: LEFT, oomScoreAdj: undefined }, log);
    assert.deepEqual(values(), before);
    setSysctl('net.netfilter.nf_conntrack_tcp_timeout_close_wait', '77');
    applyProcessSettings(
      { conntrack: { ...LEFT, tcpEstablishedTimeout: 1000, tcpCloseWaitTimeout: 77, tcpBeLiberal: true }, oomScoreAdj: undefined },
      log,
    );
    assert.deepEqual(values(), ['1000', '77', '1', ...before.slice(3)]);
    assert.deepEqual(lines, [
      `INFO  Set sysctl net.netfilter.nf_conntrack_tcp_timeout_established from=${before[0]} to=1000`,
      `INFO  Set sysctl net.netfilter.nf_conntrack_tcp_be_liberal from=${before[2]} to=1`,
    ]);
  });
});

test('a setting that cannot be set is logged, and the others are set', skipIf(whyNoKernel()), () => {
  inScratchNetns(() => {
    const lines: string[] = [];
    const log = createLog(0, (line) => lines.push(line.replace(/^\S+ /, '').trim()));
    // A network namespace may only read how many entries there may be in all
    const present = sysctl('net.netfilter.nf_conntrack_max');
    const min = 2 * Number(present);
    applyProcessSettings({ conntrack: { ...LEFT, maxPerCore: 1, min, udpTimeout: 55 }, oomScoreAdj: undefined }, log);
    const warning = `WARN  Cannot set sysctl net.netfilter.nf_conntrack_max to ${min}, it stays as it is: set it on the node is=${present} reason="EACCES`;
    assert.ok(lines[0]?.startsWith(warning), lines[0]);
    assert.equal(sysctl('net.netfilter.nf_conntrack_udp_timeout'), '55');
  });
});
