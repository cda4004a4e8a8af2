import { type Address, familyOf, ZERO_ADDRESS } from './address.ts';
import { hostPort } from './host-port.ts';
import { protocolName } from './protocol.ts';

/**
 * A frontend as logs, Events and commands print it: `10.0.0.1:80/TCP`, `[fd00::1]:53/UDP`. `NodePort4:30080/TCP` and `NodePort6:...` stand for
 * all NodePort addresses of a family. `protocol`: IPPROTO_*.
 */
export function frontendName({
  address,
  port,
  protocol,
}: {
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
}): string {
  const family = familyOf(address);
  const place = address === ZERO_ADDRESS[family] ? `NodePort${family}:${port}` : hostPort(address, port);
  return `${place}/${protocolName(protocol)}`;
}
