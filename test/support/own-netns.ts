import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** Environment variable of the process inside the namespace. */
const INSIDE = 'WEIR_TEST_OWN_NETNS';

/** For test files: runs the tests of `file` in a temporary network namespace with `lo` up. */
export function inOwnNetns(file: string, defineTests: () => void): void {
  if (process.env[INSIDE] !== undefined) {
    defineTests();
    return;
  }
  const skip = process.geteuid?.() === 0 ? false : 'needs root';
  test('in a temporary network namespace', { skip }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const argv = ['--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$1"', process.execPath, file];
    const { status, stdout, stderr } = spawnSync('unshare', argv, { encoding: 'utf8', env: { ...env, [INSIDE]: '1' }, timeout: 60_000 });
    if (status !== 0) throw new Error(`Tests failed in a temporary network namespace:\n${stdout}${stderr}`);
  });
}
