import { NLM_F_DUMP, NLM_F_REQUEST, netlinkMessage } from './netlink-encoding.ts';
import { decodeAttributes } from './netlink-messages.ts';
import { NETLINK_ROUTE, NetlinkSocket } from './netlink-socket.ts';

/** <linux/rtnetlink.h>, <linux/pkt_sched.h>, <linux/pkt_cls.h>. */
const RTM_GETTFILTER = 46;
const CLSACT_INGRESS = 0xfffffff2;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_CHAIN = 11;
const TCA_BPF_ID = 11;

/** Bytes of `struct tcmsg`. */
const TCMSG = 20;

/** A filter at the clsact ingress of a device. */
export interface IngressFilter {
  /** `bpf`, `flower`, ... */
  readonly kind: string;
  /** Its `pref`: filters with a lower one run first. */
  readonly priority: number;
  readonly handle: number;
  /** 0 for other kinds than `bpf`. */
  readonly programId: number;
}

/** Filters of chain 0, in the order in which the kernel runs them, of a device of this network namespace. */
export function ingressFilters(ifindex: number): IngressFilter[] {
  const message = Buffer.alloc(TCMSG);
  message.writeInt32LE(ifindex, 4);
  message.writeUInt32LE(CLSACT_INGRESS, 12);
  const socket = new NetlinkSocket(NETLINK_ROUTE, 'tc filters');
  try {
    return socket.dump(netlinkMessage(RTM_GETTFILTER, NLM_F_REQUEST | NLM_F_DUMP, message)).flatMap(decodeFilter);
  } finally {
    socket.close();
  }
}

/** The kernel also sends a message for each priority: it has handle 0. */
function decodeFilter(body: Buffer): IngressFilter[] {
  const handle = body.readUInt32LE(8);
  const attributes = decodeAttributes(body.subarray(TCMSG));
  if (handle === 0 || (attributes.get(TCA_CHAIN)?.readUInt32LE() ?? 0) !== 0) return [];
  const options = decodeAttributes(attributes.get(TCA_OPTIONS) ?? Buffer.alloc(0));
  return [
    {
      kind: attributes.get(TCA_KIND)?.toString('utf8').replace(/\0.*$/s, '') ?? '',
      priority: body.readUInt32LE(16) >>> 16,
      handle,
      programId: options.get(TCA_BPF_ID)?.readUInt32LE() ?? 0,
    },
  ];
}
