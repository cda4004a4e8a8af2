/** Answer to one HTTP request. */
export interface HttpAnswer {
  readonly status: 200 | 404 | 500 | 503;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
