/** The fixed fields of a reason. */
interface ReasonFacts {
  readonly type: 'Normal' | 'Warning';
  /** What weir was about to do. */
  readonly action: string;
  /** All nodes have the same result, so one Event is enough. */
  readonly everywhere?: true;
}

/** Every reason of an Event; docs/events.md explains each. Reasons that kube-proxy has as well have its names. */
export const REASONS = {
  Starting: { type: 'Normal', action: 'StartWeir' },
  AddressConflict: { type: 'Warning', action: 'Program', everywhere: true },
  TableFull: { type: 'Warning', action: 'Program' },
  FailedToProgram: { type: 'Warning', action: 'Program' },
  RulesetRemoved: { type: 'Warning', action: 'Program' },
  DeviceNotServed: { type: 'Warning', action: 'Attach' },
  ProgramAhead: { type: 'Warning', action: 'Attach' },
  ConntrackFull: { type: 'Warning', action: 'Translate' },
  ConntrackRefused: { type: 'Warning', action: 'Translate' },
  SourcePortsExhausted: { type: 'Warning', action: 'Translate' },
  NoSourceAddress: { type: 'Warning', action: 'Translate' },
  BrokenTable: { type: 'Warning', action: 'Translate' },
  FailedToStartServiceHealthcheck: { type: 'Warning', action: 'Listen' },
  FailedToStartProxierHealthcheck: { type: 'Warning', action: 'StartWeir' },
  FailedToStartMetricServer: { type: 'Warning', action: 'StartWeir' },
  StaleSocketsKept: { type: 'Warning', action: 'StartWeir' },
  SocketsUncovered: { type: 'Warning', action: 'StartWeir' },
  HiddenProcesses: { type: 'Warning', action: 'StartWeir' },
} as const satisfies Readonly<Record<string, ReasonFacts>>;

export type EventReason = keyof typeof REASONS;

/** A report that belongs to an object, and not only in the log of a node. */
export interface RecordedEvent {
  readonly reason: EventReason;
  /** One sentence. */
  readonly note: string;
  /** `namespace/name` of the Service that it is about; undefined = this node. */
  readonly service?: string | undefined;
}

/** Records Events for people who inspect objects. Never throws and never waits; drops Events that it cannot send. */
export interface EventRecorder {
  record(event: RecordedEvent): void;
  stop(): void;
}

/** For sources without Events, such as manifests. */
export const NO_EVENTS: EventRecorder = { record() {}, stop() {} };
