/** Rooms of ARCHITECTURE.md -> what they may import besides themselves: other rooms, packages, and whether Node's own modules. */
export interface Room {
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
  /** Quiet rooms hold pure functions: no node: modules, clock, randomness, process or classes. */
  readonly quiet: boolean;
}

const room = (rooms: string, packages = ''): Room => ({ rooms: words(rooms), packages: words(packages), quiet: false });

const quietRoom = (rooms: string, packages = ''): Room => ({ ...room(rooms, packages), quiet: true });

const words = (text: string): readonly string[] => text.split(' ').filter((word) => word !== '');

/** A room imports `lib`, `model`, `abi` and rooms to its left; reconcile and kernel meet in agent. */
export const ROOMS: Readonly<Record<string, Room>> = {
  lib: quietRoom('', 'ipaddr.js js-yaml'),
  timing: room(''),
  abi: room('lib'),
  model: quietRoom('lib'),
  grpc: room('lib'),
  http: room('lib'),
  kpng: quietRoom('lib model', 'protobufjs'),
  sources: room('lib timing model grpc kpng'),
  events: room('lib timing model sources'),
  config: room('lib abi'),
  select: quietRoom('lib model'),
  plan: quietRoom('lib model abi select'),
  explain: quietRoom('lib model abi'),
  reconcile: room('lib timing abi plan'),
  'kpng-server': room('lib timing model select grpc kpng sources'),
  kernel: room('lib timing abi reconcile', 'koffi'),
  observe: room('lib model', 'prom-client'),
  health: room('lib http plan'),
  lab: room('lib model sources kernel'),
  agent: room('lib timing model abi grpc http sources events config plan reconcile kernel observe health'),
  cli: room('lib model abi explain agent kpng-server grpc sources config lab kernel observe reconcile', 'commander'),
};

/** Quiet files of rooms that are not quiet. */
export const QUIET_FILES: readonly string[] = ['src/agent/lifecycle.ts'];

/** Packages of tests. */
export const TEST_PACKAGES: readonly string[] = ['fast-check', 'js-yaml'];

/** Files that may be longer than others: the contract, half of which is docstrings, and the code generated from it. */
export const LONG_FILES: readonly string[] = ['bpf/abi/types.h', 'src/abi/generated.ts'];

/** What the bundle may consist of. Packages cost memory and time at every start (@kubernetes/client-node: 80 MB, 0.7 s): add with a measurement. */
export const BUNDLED_PACKAGES: readonly string[] = [
  '@opentelemetry/api',
  'bintrees',
  'commander',
  'ipaddr.js',
  'js-yaml',
  'long',
  'prom-client',
  'protobufjs',
  'tdigest',
];
