/** `TCP`, `UDP`, `SCTP`, or the number. */
export const protocolName = (protocol: number): string => ({ 6: 'TCP', 17: 'UDP', 132: 'SCTP' })[protocol] ?? String(protocol);
