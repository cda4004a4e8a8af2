import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createLab } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { bpffsDir, CHECKOUT, manifestsDir } from '#lab/paths.ts';
import { run, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { clusterIP, node, nodeAddress, numbered, podAddress, slices } from '../datapath/objects.ts';
import { answer, assertPaths, tcp } from '../datapath/paths.ts';
import { Container, podTemplate, whyNoContainer } from './container.ts';
import { filesIn, makeRoot, pack, whyNoImage } from './image.ts';
import type { PodTemplate } from './pod-spec.ts';

const MOST_BYTES = 120e6;

const ground = skipIf(whyNoImage() ?? whyNoContainer() ?? whyNoDatapath());

/** A web server on each of two nodes, and a Service over them. */
const PODS = [
  { name: 'p1', node: 'n1' },
  { name: 'p2', node: 'n2' },
] as const;
const OBJECTS = [node('n1'), node('n2'), numbered('web', 10), ...slices({ of: 'web', pods: PODS })];
const WEB = tcp(clusterIP(10), 80);

/** What only people read, and the program of a packet path that this agent does not use. */
const FOR_OTHERS = /\/(?:copyright|LICENSE|LICENSE\.txt|node\.LICENSE|kfuncs\.bpf\.o)$/;

let lab: Lab;
let work: string;
let image: string;

before(async () => {
  if (ground.skip) return;
  work = mkdtempSync(join(tmpdir(), 'weir-image-'));
  image = makeRoot(join(work, 'root'));
  lab = await createLab({ name: `i${process.pid}`, objects: OBJECTS, agents: false });
});

after(async () => {
  await lab?.down();
  if (work !== undefined) rmSync(work, { recursive: true });
});

test('the file system is at most 120 MB', ground, (t) => {
  const bytes = [...filesIn(image).values()].reduce((sum, size) => sum + size, 0);
  t.diagnostic(`${(bytes / 1e6).toFixed(1)} MB`);
  assert.ok(bytes > 100e6 && bytes <= MOST_BYTES, `${bytes} bytes`);
});

/** Runs an agent in a copy of the image that notes when files are read; prints the unread files. */
const UNREAD = `
mount -t tmpfs -o strictatime weir "$1" && cp -a "$2/." "$1" && cd "$1"
find . -type f -exec touch -a -d @0 {} +
mount --rbind /proc proc && mount --rbind /sys sys
mkdir run/bpf run/manifests && mount --bind "$3" run/bpf && mount --bind "$4" run/manifests
chroot . /usr/bin/weir run --source manifests --dir /run/manifests --node-name n1 --state-dir /run/bpf --cgroup-root "$5" >log 2>&1 & agent=$!
until grep -q Ready: log; do kill -0 $agent || { cat log >&2; exit 1; }; sleep 0.1; done
kill $agent && wait $agent
find . -xdev -type f ! -newerat @1 -printf '/%P\\n'
`;

test('every file of it is read by an agent, or says whose work it is', ground, async () => {
  const copy = join(work, 'copy');
  mkdirSync(copy);
  const { cgroup } = lab.place('n1');
  const places = [copy, image, bpffsDir(lab.topology.name, 'n1'), manifestsDir(lab.topology.name), cgroup];
  const { code, stdout, stderr } = await lab.exec('n1', ['unshare', '--mount', 'sh', '-c', UNREAD, 'sh', ...places]);
  assert.equal(code, 0, stderr);
  const unread = stdout.split('\n').filter((path) => path !== '' && !FOR_OTHERS.test(path));
  assert.deepEqual(unread, []);
  assert.ok(filesIn(image).size > 20);
});

test('the same file system is packed into the same image, whenever that is', ground, () => {
  const small = join(work, 'small');
  const files = [join(work, 'one.tar'), join(work, 'two.tar')] as const;
  mkdirSync(join(small, 'usr/bin'), { recursive: true });
  writeFileSync(join(small, 'usr/bin/weir'), '', { mode: 0o755 });
  pack(small, files[0]);
  utimesSync(join(small, 'usr/bin/weir'), 1, 1);
  pack(small, files[1]);
  assert.ok(readFileSync(files[0]).equals(readFileSync(files[1])));
  writeFileSync(join(small, 'usr/bin/weir'), 'other');
  pack(small, files[1]);
  assert.ok(!readFileSync(files[0]).equals(readFileSync(files[1])));
});

test('an image is what its parts say, and starts as the build file says', ground, () => {
  const file = join(work, 'one.tar');
  const part = (path: string): Buffer => Buffer.from(run('sh', '-c', 'tar -xOf "$0" "$1" | base64', file, path), 'base64');
  const named = ({ digest, size }: { digest: string; size: number }): Buffer => {
    const blob = part(`blobs/${digest.replace(':', '/')}`);
    assert.equal(`sha256:${createHash('sha256').update(blob).digest('hex')}`, digest);
    assert.equal(blob.length, size);
    return blob;
  };
  const manifest = JSON.parse(`${named(JSON.parse(`${part('index.json')}`).manifests[0])}`);
  const { config, rootfs } = JSON.parse(`${named(manifest.config)}`);
  const layer = gunzipSync(named(manifest.layers[0]));
  assert.deepEqual(rootfs.diff_ids, [`sha256:${createHash('sha256').update(layer).digest('hex')}`]);
  const build = readFileSync(join(CHECKOUT, 'deploy/image/Containerfile'), 'utf8').split('FROM scratch')[1] ?? '';
  const said = (word: string): string => build.match(new RegExp(`^${word} (.*)$`, 'm'))?.[1] ?? '';
  assert.deepEqual([config.Entrypoint, config.Cmd], [JSON.parse(said('ENTRYPOINT')), JSON.parse(said('CMD'))]);
  assert.deepEqual([config.User, config.Env[0], config.WorkingDir], [said('USER'), said('ENV'), said('WORKDIR')]);
  for (const [label, value] of Object.entries(config.Labels))
    assert.ok(build.includes(`${label}="${value}"`), `the build file should have ${label}="${value}"`);
});

/** The DaemonSet's pod, following a folder instead of an API server. */
function folderPod(): PodTemplate {
  const template = podTemplate();
  const [container] = template.containers;
  const args = [...container.args, '--source=manifests', '--dir=/manifests', '-v=2'];
  const manifests = { name: 'manifests', mountPath: '/manifests', readOnly: true };
  return {
    ...template,
    containers: [{ ...container, args, env: container.env?.slice(0, 1) ?? [], volumeMounts: [...container.volumeMounts, manifests] }],
  };
}

const folderContainer = (template: PodTemplate = folderPod()): Container =>
  new Container({
    ...{ lab, node: 'n1', image, template },
    env: { NODE_NAME: 'n1' },
    volumes: { manifests: manifestsDir(lab.topology.name) },
  });

test('a pod of the DaemonSet serves, with its rights and no others', ground, async (t) => {
  await lab.exec('n1', ['sh', '-c', 'echo 77 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait']);
  const stranger = lab.spawn('p1', ['setpriv', '--reuid=1000', '--clear-groups', 'sleep', '60'], { stdio: 'ignore' });
  t.after(() => stranger.kill());
  const pod = folderContainer();
  t.after(() => pod.remove());
  await pod.start();
  await assertPaths(lab, [
    ['n1', WEB, answer(nodeAddress('n1'), 'p1', 'p2')],
    ['p1', WEB, answer(podAddress(PODS[0]), 'p1', 'p2')],
    ['outside', tcp(nodeAddress('n1'), 30_010), answer(nodeAddress('n1'), 'p1', 'p2')],
  ]);
  assert.doesNotMatch(pod.log, / (?:WARN|ERROR) /);
  assert.match(pod.log, /INFO {2}Set sysctl net\.netfilter\.nf_conntrack_tcp_timeout_close_wait from=77 to=3600/);
  assert.equal(pod.exec('weir', '--version'), `${JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')).version}\n`);
  assert.match(pod.exec('weir', 'doctor'), /, 0 missing$/m);
  assert.match(pod.exec('weir', 'dump'), /t\/web:tcp/);
  assert.throws(() => pod.exec('weir', 'lab', 'up', '/manifests/objects.json'), /Cannot build a lab: .* the image comes without it/);
  const { stdout } = await lab.exec('n1', ['sh', '-c', 'curl -s http://127.0.0.1:10256/livez || wget -qO- http://127.0.0.1:10256/livez']);
  assert.match(stdout, /lastUpdated/);
});

test('a pod that takes the place of another adopts what it left; no connection fails meanwhile', ground, async (t) => {
  const pod = folderContainer();
  t.after(() => pod.remove());
  await pod.start();
  const inside = lab.load('p1', { target: WEB, concurrency: 4, requests: 1_000_000 });
  const outside = lab.load('outside', { target: tcp(nodeAddress('n1'), 30_010), concurrency: 4, requests: 1_000_000 });
  await pod.stop();
  await pod.start();
  assert.match(pod.log, /Adopted the tables of an earlier agent/);
  for (const { answered, requests, failures } of [await inside.stop(), await outside.stop()]) {
    assert.deepEqual(failures, {});
    assert.ok(answered > 0 && answered === requests, `${answered} of ${requests}`);
  }
});

const fewRights = existsSync('/sys/module/nf_conntrack/initstate')
  ? 'nf_conntrack is a module here, to see its functions takes CAP_SYS_ADMIN'
  : ground.skip;

test('without SYS_ADMIN, SYS_PTRACE and hostPID it serves, and says what it does not do', { skip: fewRights }, async (t) => {
  const template = folderPod();
  const [container] = template.containers;
  const securityContext = { ...container.securityContext, capabilities: { drop: ['ALL'], add: ['BPF', 'NET_ADMIN', 'PERFMON'] } };
  const pod = folderContainer({ ...template, hostPID: false, containers: [{ ...container, securityContext }] });
  t.after(() => pod.remove());
  await pod.start();
  await assertPaths(lab, [
    ['n1', WEB, answer(nodeAddress('n1'), 'p1', 'p2')],
    ['outside', tcp(nodeAddress('n1'), 30_010), answer(nodeAddress('n1'), 'p1', 'p2')],
  ]);
  const trouble = pod.log.split('\n').filter((line) => / (?:WARN|ERROR) /.test(line));
  assert.equal(trouble.length, 1, pod.log);
  assert.match(trouble[0] ?? '', /ending them needs CAP_SYS_ADMIN/);
});

test('a pod that does not see the bpffs of its node refuses to serve only as long as it lives', ground, async (t) => {
  const template = folderPod();
  const [container] = template.containers;
  const volumeMounts = container.volumeMounts.filter(({ name }) => name !== 'bpffs');
  const pod = folderContainer({ ...template, hostPID: false, containers: [{ ...container, volumeMounts }] });
  t.after(() => pod.remove());
  await assert.rejects(
    pod.start(),
    /would be gone with them, mount -t bpf bpf \/sys\/fs\/bpf on the node, and give the container that folder/,
  );
});
