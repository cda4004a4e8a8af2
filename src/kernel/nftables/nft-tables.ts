import { decodeAttributes } from '../netlink/netlink-messages.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/netlink-socket.ts';

/** NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NFTA_TABLE_NAME of <linux/netfilter/nf_tables.h>. */
const GET_TABLE = 0xa01;
const TABLE_NAME = 1;
/** NLM_F_REQUEST | NLM_F_DUMP. */
const DUMP = 0x301;
const NETLINK_HEADER = 16;
/** struct nfgenmsg. */
const FAMILY_HEADER = 4;
const NFPROTO_INET = 1;

/** Names of the tables of family inet in this network namespace. libnftables would read their sets too, which takes longer the more there are. */
export function inetTables(): readonly string[] {
  const request = Buffer.alloc(NETLINK_HEADER + FAMILY_HEADER);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(GET_TABLE, 4);
  request.writeUInt16LE(DUMP, 6);
  request.writeUInt8(NFPROTO_INET, NETLINK_HEADER);
  const socket = new NetlinkSocket(NETLINK_NETFILTER, 'nftables tables');
  try {
    return socket
      .dump(request)
      .map((body) => decodeAttributes(body.subarray(FAMILY_HEADER)).get(TABLE_NAME)?.toString().replace('\0', '') ?? '');
  } finally {
    socket.close();
  }
}
