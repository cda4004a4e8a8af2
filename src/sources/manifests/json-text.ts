import type { ParsedText } from '#lib/yaml.ts';

/** Values of a JSON text: one, or several one after the other as `jq -c` writes them. */
export function parseJson(text: string): ParsedText {
  try {
    return { ok: true, values: [JSON.parse(text)] };
  } catch (error) {
    const { message } = error as Error;
    return message.includes('after JSON') ? parseSeveral(text, message) : broken(text, message);
  }
}

function parseSeveral(text: string, message: string): ParsedText {
  const values: unknown[] = [];
  for (const part of topLevelParts(text)) {
    try {
      values.push(JSON.parse(part));
    } catch {
      return broken(text, message);
    }
  }
  return { ok: true, values };
}

/** Texts that end with a bracket of depth 0, and the rest after the last of them. */
function* topLevelParts(text: string): Generator<string> {
  let depth = 0;
  let start = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/gs)) {
    if (token === '{' || token === '[') depth++;
    if ((token !== '}' && token !== ']') || --depth > 0) continue;
    yield text.slice(start, index + 1);
    start = index + 1;
  }
  if (text.slice(start).trim() !== '') yield text.slice(start);
}

function broken(text: string, message: string): ParsedText {
  const line = /\(line (\d+) column \d+\)/.exec(message)?.[1];
  const last = message.startsWith('Unexpected end') ? text.trimEnd().split('\n').length : 0;
  return { ok: false, line: line === undefined ? last : Number(line), reason: message.replace(/( in JSON)? at position .*$/, '') };
}
