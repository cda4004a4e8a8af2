import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { CHECKOUT } from '#lab/paths.ts';

/** An npm registry on loopback that serves only the packages of node_modules. */
export interface Registry {
  readonly url: string;
  /** Names of the packages whose contents were fetched. */
  readonly fetched: ReadonlySet<string>;
  close(): void;
}

/** Opens it on a free port. */
export async function openRegistry(): Promise<Registry> {
  const fetched = new Set<string>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '').slice(1);
    const name = path.replace(/\/-\.tgz$/, '');
    const folder = join(CHECKOUT, 'node_modules', name);
    if (!existsSync(join(folder, 'package.json'))) return void response.writeHead(404).end('{}');
    if (name === path) return void response.end(JSON.stringify(packument(folder, `${url}/${name}/-.tgz`)));
    fetched.add(name);
    response.end(archive(folder));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    fetched,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function packument(folder: string, tarball: string): object {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { name, version } = manifest;
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist: { tarball } } } };
}

/** Not compressed: Node alone takes seconds. */
const archive = (folder: string): Buffer =>
  gzipSync(execFileSync('tar', ['-c', '--transform=s,^\\.,package,', '-C', folder, '.'], { maxBuffer: 1 << 30 }), { level: 0 });
