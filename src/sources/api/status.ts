import { clip, isFields } from '#model/fields.ts';

const MAX_SHOWN = 300;

/** What a Status object, or another body of a refusal, says. */
export function messageOf(body: string): string {
  try {
    const status: unknown = JSON.parse(body);
    if (isFields(status) && typeof status.message === 'string') return clip(status.message, MAX_SHOWN);
  } catch {}
  return clip(body.trim().split('\n')[0] ?? '', MAX_SHOWN);
}
