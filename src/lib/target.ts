import { parseAddress } from './address.ts';
import { hostPort } from './host-port.ts';

/** Where a server listens: a Unix socket, or a port of a host. */
export type GrpcTarget =
  | { readonly type: 'unix'; readonly path: string }
  /** `host` is empty for all addresses of this machine. */
  | { readonly type: 'tcp'; readonly host: string; readonly port: number };

/** `unix:///run/kpng.sock`, `127.0.0.1:12090`, `tcp://:12090`, `dns:///kpng.example:12090`; undefined for any other text. */
export function parseTarget(text: string): GrpcTarget | undefined {
  const [, path] = /^unix:(?:\/\/)?(\/(?!\/).+)$/.exec(text) ?? [];
  if (path !== undefined) return { type: 'unix', path };
  const [, bracketed, plain = '', digits] = /^(?:tcp:\/\/|dns:(?:\/\/\/)?)?(?:\[([^\]]+)\]|([^:/[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port < 1 || port > 65_535) return undefined;
  if (bracketed !== undefined && parseAddress(bracketed) === undefined) return undefined;
  return { type: 'tcp', host: bracketed ?? plain, port };
}

/** Text of a target; reverse of parseTarget. */
export const formatTarget = (target: GrpcTarget): string =>
  target.type === 'unix' ? `unix://${target.path}` : hostPort(target.host, target.port);

/** Whether the traffic of a target stays on this machine. */
export const isPrivate = (target: GrpcTarget): boolean =>
  target.type === 'unix' ||
  target.host === 'localhost' ||
  target.host === '::1' ||
  (target.host.startsWith('127.') && parseAddress(target.host) !== undefined);
