/**
 * Measures the agent against a real API server with a large cluster. Arguments: number of Services (10000), of endpoints in all (100000), a
 * Markdown file whose part about this is replaced.
 */
import { spawnSync } from 'node:child_process';
import { binary, whyNoControlPlane } from '../../test/cluster/binaries.ts';
import { machine, updatePage } from '../page.ts';
import { raiseBenchCluster } from './cluster.ts';
import { measureAll } from './measure.ts';
import { MAX_ENDPOINTS, type Size } from './objects.ts';
import { report } from './report.ts';

const SMALL: Size = { services: 20, endpoints: 5 };

const say = (step: string): void => void process.stderr.write(`bench-api: ${step}\n`);

function readSize(services = '10000', endpoints = '100000'): Size {
  const size = { services: Number(services), endpoints: Number(endpoints) / Number(services) };
  const isRight = size.services >= SMALL.services && size.services <= 60_000 && Number.isInteger(size.endpoints);
  if (isRight && size.endpoints >= 1 && size.endpoints < MAX_ENDPOINTS) return size;
  throw new Error(`Cannot measure ${services} Services with ${endpoints} endpoints: there should be 20 to 60000, with 1 to 15 each`);
}

async function run(size: Size): Promise<string> {
  const missing = whyNoControlPlane();
  if (missing !== undefined) throw new Error(missing);
  const where = machine();
  const version = spawnSync(binary('kube-apiserver'), ['--version'], { encoding: 'utf8' }).stdout.trim();
  const cluster = await raiseBenchCluster();
  try {
    const measured = await measureAll(cluster, SMALL, size, say);
    const what = `${size.services.toLocaleString('en')} Services with ${size.endpoints} endpoints each`;
    return `${where}; ${version}. ${what}.\n\n${report(measured, SMALL)}\n`;
  } finally {
    await cluster.down();
  }
}

try {
  const [services, endpoints, file] = process.argv.slice(2);
  const text = await run(readSize(services, endpoints));
  process.stdout.write(text);
  if (file !== undefined) updatePage(file, 'api', text);
} catch (error) {
  say(error instanceof Error ? error.message : `${error}`);
  process.exitCode = 1;
}
