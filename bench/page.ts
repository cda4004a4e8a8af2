import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

/** Puts text between the two marks of a Markdown page, `<!-- mark -->` and `<!-- /mark -->`. */
export function updatePage(file: string, mark: string, text: string): void {
  const [start, end] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`];
  const page = readFileSync(file, 'utf8');
  if (!page.includes(start) || !page.includes(end)) throw new Error(`Cannot update ${file}: it should have the marks ${start} and ${end}`);
  writeFileSync(file, `${page.slice(0, page.indexOf(start) + start.length)}\n${text}${page.slice(page.indexOf(end))}`);
}

/** A line of a Markdown table. */
export const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** Processor, memory, kernel and Node. */
export function machine(): string {
  const [cpu] = cpus();
  const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} x ${cpu?.model.trim()}, ${gigabytes} GB, Linux ${release()}, Node ${process.version}; load before the start ${load}`;
}
