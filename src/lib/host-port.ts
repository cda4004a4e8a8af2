import type { Address } from './address.ts';

/** An address and port to listen at. */
export interface HostPort {
  readonly address: Address;
  readonly port: number;
}

/** `10.0.0.1:80`, `[fd00::1]:80`, `example.org:80`. */
export const hostPort = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
