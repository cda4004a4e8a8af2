import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../lab.ts';
import type { HoldReport, LoadReport, Target } from '../probe.ts';
import { type Line, shortName } from './line.ts';
import { demoObjects, FAR, SWAP } from './objects.ts';
import { podOf } from './paths.ts';

/** Milliseconds that a change may take until every path follows it. */
const CHANGE_MS = 1000;
const CHANGE_WAIT_MS = 5000;
/** Short, so that an unanswered dial does not hide the moment of the change. */
const FOLLOW_TIMEOUT_MS = 50;

const MANIFEST = 'demo.json';
const N1 = '192.0.2.11';
const N2 = '192.0.2.12';

const viaClusterIP: Target = { protocol: 'tcp', address: SWAP.v4, port: SWAP.port };
const viaNodePort: Target = { protocol: 'tcp', address: N1, port: SWAP.nodePort };

/** Writes the demo's own Services; the Service `swap` is answered by the ledger pod on this node. */
function writeServices(lab: Lab, swapNode: string): void {
  lab.writeManifest(
    MANIFEST,
    demoObjects({
      far: podOf(lab, 'storefront', 'n2'),
      all: ['n1', 'n2', 'n3'].map((node) => podOf(lab, 'storefront', node)),
      swap: podOf(lab, 'ledger', swapNode),
    }),
  );
}

/** Services that come while the agents run: time until the first request is answered. */
export async function addServices(lab: Lab): Promise<Line[]> {
  const section = 'Services added while the agents run';
  const cart = podOf(lab, 'cart', 'n1').name;
  await Promise.all([cart, 'outside'].map((from) => lab.dial(from, { protocol: 'tcp', address: N2, port: 1 })));
  writeServices(lab, 'n2');
  const ledger = podOf(lab, 'ledger', 'n2').name;
  return Promise.all([followed(lab, section, cart, viaClusterIP, ledger), followed(lab, section, 'outside', viaNodePort, ledger)]);
}

/** The manifest is edited: time until another pod answers. */
export async function swapEndpoint(lab: Lab): Promise<Line[]> {
  const section = 'Endpoint swapped in the manifest';
  writeServices(lab, 'n1');
  const ledger = podOf(lab, 'ledger', 'n1').name;
  const cart = podOf(lab, 'cart', 'n1').name;
  return Promise.all([followed(lab, section, cart, viaClusterIP, ledger), followed(lab, section, 'outside', viaNodePort, ledger)]);
}

/** Dials until the pod answers that should. */
async function followed(lab: Lab, section: string, from: string, target: Target, pod: string): Promise<Line> {
  const start = performance.now();
  const deadline = start + CHANGE_WAIT_MS;
  let seen = '';
  do {
    const answer = await lab.dial(from, { ...target, timeoutMs: FOLLOW_TIMEOUT_MS });
    seen = answer.outcome === 'answered' ? answer.answeredBy : answer.outcome;
  } while (seen !== pod && performance.now() < deadline);
  const ms = performance.now() - start;
  return {
    section,
    path: `${shortName(lab, from)} → ${from === 'outside' ? `n1:${SWAP.nodePort}` : 'swap'} TCP v4`,
    expected: `${shortName(lab, pod)} within ${CHANGE_MS} ms`,
    seen: shortName(lab, seen),
    ms,
    right: seen === pod,
    late: ms >= CHANGE_MS,
  };
}

const CONCURRENCY = 4;
const PHASE_MS = 400;
const PING_EVERY_MS = 20;

/** The agent of n1 is killed under load, an endpoint changes while it is away, it comes back: nothing may get lost. */
export async function killAgent(lab: Lab): Promise<Line[]> {
  const section = 'Agent of n1 killed (SIGKILL) under load, and started again';
  const cart = podOf(lab, 'cart', 'n1').name;
  const toLedger: Target = { protocol: 'tcp', address: '10.96.157.232', port: 5432 };
  const nodePort: Target = { protocol: 'tcp', address: N1, port: 31452 };
  const loads = [
    lab.load(cart, { target: toLedger, concurrency: CONCURRENCY }),
    lab.load('outside', { target: nodePort, concurrency: CONCURRENCY }),
  ];
  const open = lab.hold('outside', { target: nodePort, everyMs: PING_EVERY_MS });
  const flow = lab.hold('outside', { target: { protocol: 'udp', address: N1, port: FAR.nodePort }, everyMs: PING_EVERY_MS });
  await sleep(PHASE_MS);
  await lab.agent('n1').kill('SIGKILL');
  await sleep(PHASE_MS);
  writeServices(lab, 'n2');
  const start = performance.now();
  await lab.agent('n1').start();
  const back = performance.now() - start;
  const ledger = podOf(lab, 'ledger', 'n2').name;
  const caughtUp = await followed(lab, section, cart, viaClusterIP, ledger);
  await sleep(PHASE_MS);
  const [pods, outside] = await Promise.all(loads.map((load) => load.stop()));
  const held = await Promise.all([open.stop(), flow.stop()]);
  return [
    loadLine(section, `${shortName(lab, cart)} → ledger-rw, new connections`, pods),
    loadLine(section, 'outside → n1:31452, new connections', outside),
    holdLine(section, 'outside → n1:31452, one connection', held[0]),
    holdLine(section, `outside → n1:${FAR.nodePort}, one UDP flow`, held[1]),
    { section, path: 'n1, agent ready again', expected: 'ready', seen: 'ready', ms: back, right: true },
    { ...caughtUp, path: `${shortName(lab, cart)} → swap, changed meanwhile` },
  ];
}

function loadLine(section: string, path: string, report: LoadReport | undefined): Line {
  const { requests = 0, answered = 0, failures = {} } = report ?? {};
  const kinds = Object.entries(failures).map(([kind, count]) => `, ${count} ${kind}`);
  const lost = requests - answered;
  return {
    section,
    path,
    expected: 'none lost',
    seen: `${requests} sent, ${lost} lost${kinds.join('')}`,
    right: requests > 0 && lost === 0,
  };
}

function holdLine(section: string, path: string, report: HoldReport | undefined): Line {
  const { sent = 0, answered = 0, answeredBy = {}, brokenBy } = report ?? {};
  const pods = Object.keys(answeredBy).length;
  const seen = `${sent} sent, ${sent - answered} lost${brokenBy ? `, ${brokenBy}` : ''}${pods > 1 ? `, ${pods} servers` : ''}`;
  return { section, path, expected: 'none lost', seen, right: sent > 0 && answered === sent && pods === 1 && brokenBy === undefined };
}

/** One flow from outside to a NodePort as the kernel's conntrack shows it. */
export async function showConntrack(lab: Lab): Promise<{ line: Line; entry: string }> {
  const target: Target = { protocol: 'tcp', address: N1, port: 31452 };
  const open = lab.hold('outside', { target, everyMs: PING_EVERY_MS });
  await sleep(PING_EVERY_MS * 5);
  const { stdout, stderr } = await lab.exec('n1', ['conntrack', '-L', '-p', 'tcp', '--dport', `${target.port}`, '--state', 'ESTABLISHED']);
  await open.stop();
  const ledger = podOf(lab, 'ledger', 'n2');
  const entry = stdout.split('\n').find((text) => text.includes(`src=${ledger.addresses[0]} `)) ?? '';
  const line = {
    section: 'The same in conntrack -L',
    path: `outside → n1:${target.port} TCP v4, on n1`,
    expected: `answered by ${ledger.addresses[0]}`,
    seen: entry ? `answered by ${ledger.addresses[0]}` : `no such entry ${stderr.trim().split('\n').at(-1)}`,
    right: entry !== '',
  };
  return { line, entry };
}

/** Many datagrams from one unconnected UDP socket: one pod answers them all, in the Service's name. */
export async function oneSocketManyDatagrams(lab: Lab, address: string, port: number): Promise<Line> {
  const from = podOf(lab, 'cart', 'n1').name;
  const count = 8;
  const seen = await lab.exchange(
    from,
    Array.from({ length: count }, () => ({ protocol: 'udp' as const, address, port })),
  );
  const answers = seen.filter((one) => one.outcome === 'answered');
  const pods = new Set(answers.map((one) => one.answeredBy));
  const peers = new Set(answers.map((one) => one.peer));
  return {
    section: 'Unconnected UDP socket',
    path: `${shortName(lab, from)} → spread, ${count} datagrams`,
    expected: `${count} answers, 1 pod, from the Service`,
    seen: `${answers.length} answers, ${pods.size} pod${pods.size === 1 ? '' : 's'}, from ${[...peers].join(' and ')}`,
    right: answers.length === count && pods.size === 1 && peers.size === 1 && peers.has(`${address}:${port}`),
  };
}
