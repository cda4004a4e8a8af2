import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentProcess } from './agent-process.ts';
import { Dialer, type Running } from './dialer.ts';
import { labDir, manifestsDir } from './paths.ts';
import { type Outcome, outcomeOf, type Place, spawnAt } from './place.ts';
import type { Hold, HoldReport, Load, LoadReport, Seen, Target } from './probe.ts';
import { removeLab } from './removal.ts';
import { findPlace, type LabState, readState } from './state.ts';
import type { Topology } from './topology.ts';

/** A running lab. Names are node names, pod names (with or without namespace) and `outside`. */
export class Lab {
  readonly topology: Topology;
  readonly #state: LabState;
  readonly #agents: ReadonlyMap<string, AgentProcess>;
  readonly #dialers = new Map<string, Dialer>();

  constructor(state: LabState, agents: ReadonlyMap<string, AgentProcess> = new Map()) {
    this.topology = state.topology;
    this.#state = state;
    this.#agents = agents;
  }

  place(name: string): Place {
    return findPlace(this.#state, name);
  }

  /** Runs a command in a place to its end. */
  exec(name: string, argv: readonly string[], input = ''): Promise<Outcome> {
    return outcomeOf(this.spawn(name, argv, { stdio: 'pipe' }), input);
  }

  spawn(name: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawnAt(this.place(name), argv, options);
  }

  /** One connection or datagram, and who answered. */
  dial(from: string, target: Target): Promise<Seen> {
    return this.#dialer(from).dial(target);
  }

  /** Datagrams from one unconnected UDP socket, one after the other. */
  exchange(from: string, targets: readonly Target[]): Promise<readonly Seen[]> {
    return this.#dialer(from).exchange(targets);
  }

  /** New connections, many, counted. */
  load(from: string, what: Load): Running<LoadReport> {
    return this.#dialer(from).load(what);
  }

  /** One long-lived connection with a message at each interval. */
  hold(from: string, what: Hold): Running<HoldReport> {
    return this.#dialer(from).hold(what);
  }

  /** Puts a manifest file into the folder that the agents follow, or replaces it, in one step. */
  writeManifest(file: string, objects: readonly unknown[]): void {
    const { name } = this.topology;
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    const draft = join(labDir(name), `${file}.draft`);
    writeFileSync(draft, JSON.stringify(list, null, 1));
    renameSync(draft, join(manifestsDir(name), file));
  }

  agent(node: string): AgentProcess {
    const agent = this.#agents.get(node);
    if (!agent)
      throw new Error(`There is no agent of "${node}" in this process, it started: ${[...this.#agents.keys()].join(', ') || 'none'}`);
    return agent;
  }

  /** Ends the probers of this process; the lab stays. */
  close(): void {
    for (const dialer of this.#dialers.values()) dialer.close();
    this.#dialers.clear();
  }

  async down(): Promise<void> {
    this.close();
    await removeLab(this.topology.name);
  }

  #dialer(from: string): Dialer {
    const place = this.place(from);
    const known = this.#dialers.get(place.name);
    if (known) return known;
    const dialer = new Dialer(place);
    this.#dialers.set(place.name, dialer);
    return dialer;
  }
}

/** A lab that another process raised. */
export const openLab = (name: string): Lab => new Lab(readState(name));
