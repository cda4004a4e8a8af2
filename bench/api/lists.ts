/**
 * Time that the API server needs to hand over what an agent follows, to a client that asks as the agent does and looks at nothing. Arguments:
 * kubeconfig, name of the node. Prints milliseconds and bytes as JSON.
 */
import { readAccess } from '#sources/api/access.ts';
import { createConnection } from '#sources/api/connection.ts';
import { type Resource, resourcesOf } from '#sources/api/resources.ts';
import { API_TIMES } from '#sources/api/times.ts';

/** A list that is the beginning of a watch (KEP-3157). */
const QUERY = {
  watch: 'true',
  allowWatchBookmarks: 'true',
  timeoutSeconds: '300',
  resourceVersionMatch: 'NotOlderThan',
  sendInitialEvents: 'true',
};
const END = 'k8s.io/initial-events-end';
/** Bytes that hold the event with that mark, which comes last. */
const END_BYTES = 1024;

const [kubeconfig = '', nodeName = ''] = process.argv.slice(2);
const connection = createConnection(() => readAccess({ kubeconfig, master: undefined }), API_TIMES);

async function receive({ path, select }: Resource): Promise<number> {
  const body = await connection.get(`${path}?${new URLSearchParams({ ...select, ...QUERY })}`, new AbortController().signal);
  let bytes = 0;
  let last = Buffer.alloc(0);
  for await (const chunk of body) {
    bytes += chunk.length;
    last = Buffer.concat([last, chunk.subarray(-END_BYTES)]).subarray(-END_BYTES);
    if (last.includes(END)) return bytes;
  }
  throw new Error(`The watch of ${path} ended after ${bytes} bytes`);
}

const start = performance.now();
const received = await Promise.all(resourcesOf(nodeName).map(receive));
const ms = performance.now() - start;
process.stdout.write(`${JSON.stringify({ ms, bytes: received.reduce((sum, bytes) => sum + bytes, 0) })}\n`);
connection.close();
