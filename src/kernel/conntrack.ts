import { NETLINK_NETFILTER, NetlinkSocket } from './netlink-socket.ts';

/** NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET of <linux/netfilter/nfnetlink_conntrack.h>. */
const CT_GET = 0x101;
/** NLM_F_REQUEST | NLM_F_DUMP. */
const DUMP = 0x301;
const CTA_MARK = 8;
const CTA_MARK_MASK = 21;

/** Number of conntrack entries of this network namespace whose mark has a bit; the kernel does the picking. */
export function countConntrackEntries(mark: number): number {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, 'conntrack entries');
  try {
    let count = 0;
    socket.walk(markRequest(mark), () => count++);
    return count;
  } finally {
    socket.close();
  }
}

/** `struct nlmsghdr`, `struct nfgenmsg` of every family, and two attributes. */
function markRequest(mark: number): Buffer {
  const bytes = Buffer.alloc(36);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(CT_GET, 4);
  bytes.writeUInt16LE(DUMP, 6);
  for (const [i, type] of [CTA_MARK, CTA_MARK_MASK].entries()) {
    bytes.writeUInt16LE(8, 20 + 8 * i);
    bytes.writeUInt16LE(type, 22 + 8 * i);
    bytes.writeUInt32BE(mark, 24 + 8 * i);
  }
  return bytes;
}
