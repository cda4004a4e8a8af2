import { type Address, familyOf } from '#lib/address.ts';

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export const socketAddress = (address: Address, port: number): string =>
  familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;

/** Columns padded to their widest cell, the last one open; one line per row, heading first, line feeds between. */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heading, ...rows];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
