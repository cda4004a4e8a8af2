import type { Line } from './line.ts';

const WIDTHS = { path: 41, expected: 35, seen: 35 } as const;

/** Prints the lines of a demo as they come: a heading for each section, then a row each. */
export class DemoPrinter {
  readonly #out: NodeJS.WriteStream;
  #section = '';

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  row(line: Line): void {
    if (this.#section === '') this.#write(row('PATH', 'EXPECTED', 'SEEN', '    MS', ''));
    if (line.section !== this.#section) this.#write(`\n${this.#styled(BOLD, line.section)}\n`);
    this.#section = line.section;
    const ms = line.ms === undefined ? '' : line.ms.toFixed(1).padStart(6);
    const mark = line.right && !line.late ? this.#styled(GREEN, 'ok') : this.#styled(RED, line.late ? 'LATE' : 'WRONG');
    this.#write(row(` ${line.path}`, line.expected, line.seen, ms, mark));
  }

  #styled(style: string, text: string): string {
    return this.#out.isTTY && this.#out.hasColors() ? `\x1b[${style}m${text}\x1b[0m` : text;
  }

  #write(text: string): void {
    this.#out.write(text);
  }
}

const BOLD = '1';
const GREEN = '32';
const RED = '31';

const row = (path: string, expected: string, seen: string, ms: string, mark: string): string =>
  `${path.padEnd(WIDTHS.path)} ${expected.padEnd(WIDTHS.expected)} ${seen.padEnd(WIDTHS.seen)} ${ms.padEnd(7)} ${mark}\n`;
