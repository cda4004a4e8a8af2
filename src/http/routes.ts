import type { HttpAnswer } from './answer.ts';

/** Handlers of one port by exact path. `Context`: the state that handlers read at each request. */
export type HttpRoutes<Context, Result = HttpAnswer> = Readonly<Record<string, (context: Context) => Result>>;

const NOT_FOUND: HttpAnswer = { status: 404, headers: { 'Content-Type': 'text/plain' }, body: '404 page not found\n' };

/** The answer of the handler of `path`; status 404 for a path without a handler. */
export function route<Context, Result>(routes: HttpRoutes<Context, Result>, path: string, context: Context): Result | HttpAnswer {
  const handler = Object.hasOwn(routes, path) ? routes[path] : undefined;
  return handler === undefined ? NOT_FOUND : handler(context);
}
