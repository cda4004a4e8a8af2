/** What an HTTP client gets. */
export interface Answer {
  readonly status: 200 | 404 | 500 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** For a path that no route serves. */
export const NOT_FOUND: Answer = { status: 404, headers: { 'Content-Type': 'text/plain' }, body: '404 page not found\n' };
