import { NFGENMSG, NLM_F_DUMP, NLM_F_REQUEST, netfilterMessage } from '../netlink/netlink-encoding.ts';
import { decodeAttributes } from '../netlink/netlink-messages.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/netlink-socket.ts';

/** NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NFTA_TABLE_NAME of <linux/netfilter/nf_tables.h>. */
const GET_TABLE = 0xa01;
const TABLE_NAME = 1;
const NFPROTO_INET = 1;

/** Names of the tables of family inet in this network namespace. libnftables would read their sets as well, at a cost per element. */
export function inetTables(): readonly string[] {
  const request = netfilterMessage(GET_TABLE, NLM_F_REQUEST | NLM_F_DUMP, NFPROTO_INET);
  const socket = new NetlinkSocket(NETLINK_NETFILTER, 'nftables tables');
  try {
    return socket
      .dump(request)
      .map((body) => decodeAttributes(body.subarray(NFGENMSG)).get(TABLE_NAME)?.toString().replace('\0', '') ?? '');
  } finally {
    socket.close();
  }
}
