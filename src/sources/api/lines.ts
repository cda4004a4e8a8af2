const NEWLINE = 0x0a;

/** Bytes of the longest line that is believed: etcd takes objects of 1.5 MB, escapes make text longer. */
const MAX_LINE = 16 << 20;

/**
 * Lines of a stream, those of a chunk together as soon as it has arrived: one by one they would cost more than what is in them. A line
 * that is cut off counts for nothing. Throws a SyntaxError when one is too long.
 */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly string[]> {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const last = chunk.subarray(start, end);
      lines.push((begun.length === 0 ? last : Buffer.concat([...begun, last])).toString());
      begun = [];
      length = 0;
      start = end + 1;
    }
    if (start < chunk.length) begun.push(chunk.subarray(start));
    length += chunk.length - start;
    if (lines.length > 0) yield lines;
    if (length > MAX_LINE) throw new SyntaxError(`a line has more than ${MAX_LINE} bytes`);
  }
}
