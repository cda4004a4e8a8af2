import { readText } from '../node/read-text.ts';
import { NLM_F_DUMP, NLM_F_REQUEST, netlinkMessage } from './netlink-encoding.ts';
import { NETLINK_XFRM, NetlinkSocket } from './netlink-socket.ts';

/** XFRM_MSG_GETSA, and the bytes of `struct xfrm_usersa_info` up to its mode, of <linux/xfrm.h>. */
const XFRM_MSG_GETSA = 0x12;
const MODE_AT = 214;
const XFRM_MODE_TRANSPORT = 0;

/** Whether the kernel has IPsec here: opening a socket would load it. The second column of the file is the protocol. */
const hasXfrm = (): boolean => new RegExp(`^\\S+ +${NETLINK_XFRM} `, 'm').test(readText('/proc/net/netlink'));

/** Number of IPsec states in transport mode in this network namespace. */
export function countTransportStates(): number {
  if (!hasXfrm()) return 0;
  const socket = new NetlinkSocket(NETLINK_XFRM, 'IPsec states');
  try {
    return socket.dump(netlinkMessage(XFRM_MSG_GETSA, NLM_F_REQUEST | NLM_F_DUMP)).filter((body) => body[MODE_AT] === XFRM_MODE_TRANSPORT)
      .length;
  } finally {
    socket.close();
  }
}
