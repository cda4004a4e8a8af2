import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpAnswer } from './answer.ts';
import { type HttpRoutes, route } from './routes.ts';

const ROUTES: HttpRoutes<string> = {
  '/healthz': (body): HttpAnswer => ({ status: 200, headers: {}, body }),
};

test('a path has the answer of its handler', () => {
  assert.deepEqual(route(ROUTES, '/healthz', 'ok'), { status: 200, headers: {}, body: 'ok' });
});

test('a path without a handler is not found, names of object members included', () => {
  for (const path of ['', '/', '/healthz/', 'toString', '/metrics'])
    assert.deepEqual(route(ROUTES, path, 'ok'), { status: 404, headers: { 'Content-Type': 'text/plain' }, body: '404 page not found\n' });
});
