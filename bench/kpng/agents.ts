/**
 * Simulated agents. Each has its own connection, reads everything, and decodes just enough to request the next change set. Arguments:
 * socket, number of agents, number of further agents that stop reading after their first bytes. The parent sends an address; the process
 * answers with the time at which each agent had the change set that contains it, ms of the monotonic clock.
 */
import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { watchReqCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';

/** First byte of an OpItem that is a Sync: field 1, length-delimited. */
const SYNC = 0x0a;
const HEADER = 5;
/** The agent's window (src/grpc/call.ts). */
const WINDOW = 1 << 20;

const [socket = '', count = '', stuck = '0'] = process.argv.slice(2);
const size = Number(count);

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** The address that the agents wait for, and the time at which each agent had it. */
let wanted: Buffer | undefined;
let times: number[] = [];

function arrived(): void {
  times.push(now());
  if (times.length < size) return;
  process.send?.({ times, messages });
  times = [];
}

let messages = 0;

function follow(nodeName: string, isStuck: boolean): void {
  const session = connect('http://localhost', {
    createConnection: () => connectSocket(socket),
    settings: { initialWindowSize: WINDOW },
  });
  session.on('connect', () => session.setLocalWindowSize(WINDOW));
  const stream = session.request({ ':method': 'POST', ':path': METHODS.local, 'content-type': 'application/grpc+proto', te: 'trailers' });
  const request = watchReqCodec.encode({ NodeName: nodeName, Extended: true });
  const ask = (): void => void stream.write(Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]));
  let rest: Buffer = Buffer.alloc(0);
  let isFirst = true;
  let hasSeen = false;
  stream.on('data', (chunk: Buffer) => {
    if (isStuck) return void stream.pause();
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (wanted !== undefined && bytes.includes(wanted)) hasSeen = true;
    let at = 0;
    for (; bytes.length - at >= HEADER; ) {
      const end = at + HEADER + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      messages++;
      if (bytes[at + HEADER] === SYNC) {
        if (isFirst || hasSeen) arrived();
        isFirst = false;
        hasSeen = false;
        ask();
      }
      at = end;
    }
    rest = bytes.subarray(at);
  });
  ask();
}

process.on('message', (address: string) => {
  wanted = Buffer.from(address);
});
for (let n = 0; n < size; n++) follow(`n${n}`, false);
for (let n = 0; n < Number(stuck); n++) follow(`n${n}`, true);
