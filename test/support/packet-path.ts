import { PACKET_PATHS, type PacketPathName } from '#reconcile/ports/datapath.ts';

/** The packet path of the agents of system tests: WEIR_PACKET_PATH, else the default. */
export const PACKET_PATH: PacketPathName = PACKET_PATHS.find((name) => name === process.env.WEIR_PACKET_PATH) ?? PACKET_PATHS[0];

/** The flag of `weir run` that chooses it. */
export const PACKET_PATH_FLAG = `--packet-path=${PACKET_PATH}`;

/** Leaves out a test about rules of other software: with the conntrack functions an entry is there before netfilter has seen the packet. */
export const onlyNetfilter = { skip: PACKET_PATH === 'netfilter' ? false : 'packet path kfuncs: see "Limits" of the README' };
