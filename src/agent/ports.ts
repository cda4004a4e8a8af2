import type { Config } from '#config/config.ts';
import { proxyAnswer } from '#health/answer.ts';
import type { ProxyHealth } from '#health/proxy-health.ts';
import type { HttpAnswer } from '#http/answer.ts';
import type { HttpListener } from '#http/listener.ts';
import { openPort } from '#http/open-port.ts';
import { type HttpRoutes, route } from '#http/routes.ts';
import type { Log } from '#observe/log.ts';
import type { Metrics } from '#observe/metrics.ts';
import type { Alarm } from './alarm.ts';
import { ExitError } from './exit-error.ts';
import type { Store } from './store.ts';

interface Parts {
  readonly config: Config;
  readonly store: Store;
  readonly proxyHealth: ProxyHealth;
  readonly metrics: Metrics;
  readonly alarm: Alarm;
  readonly log: Log;
  /** Called if a port cannot be opened and that must end the agent. */
  readonly fail: (reason: ExitError) => void;
}

/** Opens the agent's health and metrics ports with kube-proxy's paths (cmd/kube-proxy/app/server.go, serveMetrics). */
export function openPorts({ config, store, proxyHealth, metrics, alarm, log, fail }: Parts): readonly HttpListener[] {
  const note = (message: string): void => log.info(message);
  const fatal = (message: string): void => fail(new ExitError('port', `${message}; ended, because bindAddressHardFail is set`));
  const health = config.healthzBindAddress && {
    flag: '--healthz-bind-address',
    at: config.healthzBindAddress,
    problem: (message: string) => alarm.error('FailedToStartProxierHealthcheck', message),
    answer(path: string) {
      // A Node that the source has not delivered is eligible, as in kube-proxy
      const answer = proxyAnswer(path, proxyHealth, store.node()?.isLeaving !== true, Date.now());
      metrics.asked(path, answer.status);
      return answer;
    },
  };
  const numbers = config.metricsBindAddress && {
    flag: '--metrics-bind-address',
    at: config.metricsBindAddress,
    problem: (message: string) => alarm.error('FailedToStartMetricServer', message),
    answer: (path: string) => route(METRICS_ROUTES, path, metrics),
  };
  return [health, numbers].flatMap((port) =>
    port === undefined ? [] : openPort({ ...port, note, fatal: config.bindAddressHardFail ? fatal : undefined }),
  );
}

const METRICS_ROUTES: HttpRoutes<Metrics, HttpAnswer | Promise<HttpAnswer>> = {
  '/metrics': scrape,
  '/healthz': () => plain('ok'),
  '/proxyMode': () => plain('weir'),
};

async function scrape(metrics: Metrics): Promise<HttpAnswer> {
  try {
    const headers = { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' };
    return { status: 200, headers, body: await metrics.text() };
  } catch (error) {
    return plain(`Cannot read the metrics: ${(error as Error).message}\n`, 500);
  }
}

function plain(body: string, status: 200 | 500 = 200): HttpAnswer {
  const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' };
  return { status, headers, body };
}
