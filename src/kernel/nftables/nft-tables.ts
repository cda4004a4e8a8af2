import { NFGENMSG, NLM_F_DUMP, NLM_F_REQUEST, netfilterMessage } from '../netlink/netlink-encoding.ts';
import { decodeAttributes } from '../netlink/netlink-messages.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/netlink-socket.ts';

/** NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GET*, and NFTA_* of <linux/netfilter/nf_tables.h>. */
const GET_TABLE = 0xa01;
const TABLE_NAME = 1;
const TABLE_USERDATA = 6;
const GET_CHAIN = 0xa04;
const CHAIN_TABLE = 1;
const CHAIN_NAME = 3;
const GET_SET = 0xa0a;
const SET_TABLE = 1;
const SET_NAME = 2;
const NFPROTO_INET = 1;

/** Tables of family inet in this network namespace: their comments by name. libnftables would read their sets as well, at a cost per element. */
export const inetTables = (): ReadonlyMap<string, string> =>
  new Map(list(GET_TABLE).map((table) => [textOf(table.get(TABLE_NAME)), textOf(table.get(TABLE_USERDATA))]));

/** Names of the chains of a table. */
export const chainsOf = (table: string): string[] =>
  list(GET_CHAIN)
    .filter((chain) => textOf(chain.get(CHAIN_TABLE)) === table)
    .map((chain) => textOf(chain.get(CHAIN_NAME)));

/** Names of the sets and maps of a table, without anonymous ones. */
export const setsOf = (table: string): string[] =>
  list(GET_SET)
    .filter((set) => textOf(set.get(SET_TABLE)) === table)
    .map((set) => textOf(set.get(SET_NAME)))
    .filter((name) => !name.startsWith('__'));

function list(type: number): Map<number, Buffer>[] {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, 'nftables tables');
  try {
    return socket
      .dump(netfilterMessage(type, NLM_F_REQUEST | NLM_F_DUMP, NFPROTO_INET))
      .map((body) => decodeAttributes(body.subarray(NFGENMSG)));
  } finally {
    socket.close();
  }
}

/** Printable characters: userdata is a list of {type, length, text}. */
const textOf = (bytes: Buffer | undefined): string => bytes?.toString('latin1').replace(/[^ -~]/g, '') ?? '';
