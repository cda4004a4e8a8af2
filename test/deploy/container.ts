/** A container of weir's image on a node of a lab, by runc, with what the DaemonSet asks for. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '#lab/lab.ts';
import { bpffsDir, CHECKOUT, labDir } from '#lab/paths.ts';
import type { Place } from '#lab/place.ts';
import { parseYaml } from '#lib/yaml.ts';
import { run } from '#support/kernel-ground.ts';
import { scaled } from '../datapath/ground.ts';
import { type PodTemplate, runtimeConfig } from './pod-spec.ts';

const BASE = join(CHECKOUT, 'deploy/kustomize/base');
const READY_MS = 20_000;
const POLL_MS = 20;

/** Why containers cannot be run here, and the command that changes it; undefined where they can. */
export const whyNoContainer = (): string | undefined =>
  spawnSync('runc', ['--version']).error ? 'no runc: run apt-get install runc' : undefined;

/** The pod template of the kustomize base. */
export const podTemplate = (): PodTemplate => templateIn(readFileSync(join(BASE, 'daemonset.yaml'), 'utf8'));

/** That of the DaemonSet among the objects of a text. */
export function templateIn(text: string): PodTemplate {
  const parsed = parseYaml(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  const objects = parsed.values as { kind: string; spec: { template: { spec: PodTemplate } } }[];
  const found = objects.find(({ kind }) => kind === 'DaemonSet');
  if (found === undefined) throw new Error('There is no DaemonSet, there should be one');
  return found.spec.template.spec;
}

export interface ContainerSpec {
  readonly lab: Lab;
  readonly node: string;
  /** Root file system of the image; what a runtime adds goes into a layer above it. */
  readonly image: string;
  readonly template: PodTemplate;
  readonly env?: Readonly<Record<string, string>>;
  /** Volumes besides the ones of every node. */
  readonly volumes?: Readonly<Record<string, string>>;
}

/** A container and the folder with everything that belongs to it. */
export class Container {
  readonly #dir: string;
  readonly #place: Place;
  readonly #name: string;

  /** Makes the container; it is not started. */
  constructor({ lab, node, image, template, env = {}, volumes = {} }: ContainerSpec) {
    this.#place = lab.place(node);
    this.#name = `weir-${lab.topology.name}-${node}`;
    this.#dir = join(labDir(lab.topology.name), `container-${node}`);
    for (const name of ['config', 'root', 'run', 'upper', 'work']) mkdirSync(join(this.#dir, name), { recursive: true });
    writeFileSync(join(this.#dir, 'config/config.conf'), readFileSync(join(BASE, 'config.conf')));
    const layers = `lowerdir=${image},upperdir=${join(this.#dir, 'upper')},workdir=${join(this.#dir, 'work')}`;
    run('mount', '-t', 'overlay', 'weir', '-o', layers, join(this.#dir, 'root'));
    const config = runtimeConfig(template, {
      root: join(this.#dir, 'root'),
      netns: `/run/netns/${this.#place.netns}`,
      cgroupsPath: join(this.#cgroup(), 'pod'),
      env,
      volumes: {
        config: join(this.#dir, 'config'),
        bpffs: bpffsDir(lab.topology.name, node),
        cgroup: this.#place.cgroup,
        sysctls: '/proc/sys/net',
        run: join(this.#dir, 'run'),
        ...volumes,
      },
    });
    writeFileSync(join(this.#dir, 'config.json'), JSON.stringify(config));
  }

  /** What it has said on both outputs. */
  get log(): string {
    const file = join(this.#dir, 'log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Starts it and waits until the agent says that it is ready. */
  async start(): Promise<void> {
    const shell = 'exec runc --root "$0/runc" run --detach --bundle "$0" "$1" </dev/null >"$0/log" 2>&1';
    const { status } = spawnSync('sh', ['-c', shell, this.#dir, this.#name]);
    const deadline = Date.now() + scaled(READY_MS);
    while (!/ Ready: /.test(this.log)) {
      if (status !== 0 || !this.#isRunning() || Date.now() > deadline) throw new Error(`The container is not ready:\n${this.log}`);
      await sleep(POLL_MS);
    }
  }

  /** Starts it and waits for its end; returns what it prints, throws where it fails. */
  finish(): string {
    return run('runc', '--root', join(this.#dir, 'runc'), 'run', '--bundle', this.#dir, this.#name);
  }

  /** Runs a command inside; returns what it prints, throws where it fails. */
  exec(...argv: string[]): string {
    return run('runc', '--root', join(this.#dir, 'runc'), 'exec', this.#name, ...argv);
  }

  /** Ends the container as a kubelet does; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#runc('kill', this.#name, 'TERM');
    while (this.#isRunning()) await sleep(POLL_MS);
    this.#runc('delete', '--force', this.#name);
  }

  /** Removes everything, whatever state it is in. */
  remove(): void {
    this.#runc('delete', '--force', this.#name);
    spawnSync('umount', [join(this.#dir, 'root')]);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #runc(...argv: string[]): string {
    return spawnSync('runc', ['--root', join(this.#dir, 'runc'), ...argv], { encoding: 'utf8' }).stdout ?? '';
  }

  #isRunning(): boolean {
    return this.#runc('state', this.#name).includes('"status": "running"');
  }

  /** The node's cgroup below the root of its hierarchy. */
  #cgroup(): string {
    return this.#place.cgroup.slice(this.#place.cgroup.indexOf('/weir-'));
  }
}
