/** What an address of an API server must be, for messages. */
export const SERVER = 'an address such as https://192.0.2.1:6443';

/** The address of an API server; undefined where it is none. */
export function parseServer(text: string): URL | undefined {
  const server = URL.parse(text);
  return server?.protocol === 'https:' || server?.protocol === 'http:' ? server : undefined;
}
