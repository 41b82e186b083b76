import { list, num, object, or, record, ShapeError, text, type Check } from './check';
import * as shapes from './shapes';
import * as timeshapes from './timeshapes';
import type { Events, GraphDiff } from './timetypes';
import type { Found, Graph, Quotas, ServiceEntry, Status, Trace, TraceSearch } from './types';

/** What went wrong with a request, in words for a person: the server's problem detail where it gave one. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    title: string,
    detail: string,
  ) {
    super(detail === '' ? title : detail);
    this.name = 'ApiError';
  }
}

const problem = object({ title: or(text, ''), detail: or(text, ''), error: or(text, '') });

async function ask(
  path: string,
  query: URLSearchParams | undefined,
  accept: string,
  signal?: AbortSignal,
): Promise<Response> {
  const url = query === undefined || query.size === 0 ? path : `${path}?${query.toString()}`;
  let answer: Response;
  try {
    answer = await fetch(url, { headers: { accept }, ...(signal ? { signal } : {}) });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new ApiError(
      0,
      'Binnacle does not answer',
      'Binnacle does not answer. Is it still running, and is the network up?',
    );
  }
  if (!answer.ok) throw await failure(answer);
  return answer;
}

async function get<T>(
  path: string,
  query: URLSearchParams | undefined,
  check: Check<T>,
  signal?: AbortSignal,
): Promise<T> {
  const answer = await ask(path, query, 'application/json', signal);
  let body: unknown;
  try {
    body = await answer.json();
  } catch {
    throw new ApiError(
      answer.status,
      'Not JSON',
      `${path} did not answer in JSON. Is a proxy in between, or is this another server?`,
    );
  }
  try {
    return check(body, '');
  } catch (e) {
    if (e instanceof ShapeError)
      throw new ApiError(
        answer.status,
        'Unexpected answer',
        `${path}: ${e.message}. Is the server of another version than this page?`,
      );
    throw e;
  }
}

async function failure(answer: Response): Promise<ApiError> {
  try {
    const p = problem(await answer.json(), '');
    return new ApiError(answer.status, p.title, p.detail === '' ? p.error : p.detail);
  } catch {
    return new ApiError(
      answer.status,
      `HTTP ${answer.status}`,
      `The server answered ${answer.status} ${answer.statusText}.`,
    );
  }
}

export interface Range {
  from: number;
  to: number;
}

export function fetchGraph(range: Range, view: URLSearchParams, signal?: AbortSignal): Promise<Graph> {
  const q = new URLSearchParams(view);
  q.set('from', String(Math.round(range.from)));
  q.set('to', String(Math.round(range.to)));
  return get('/api/v1/graph', q, shapes.graph, signal);
}

/** Nodes whose name, namespace or health is like `text`, the best first, and how many there are. */
export function findNodes(
  text: string,
  limit: number,
  signal?: AbortSignal,
): Promise<{ found: number; nodes: Found[] }> {
  return get('/api/v1/graph/find', new URLSearchParams({ q: text, limit: String(limit) }), shapes.found, signal);
}

/** What happened in a range, the newest first. */
export function fetchEvents(range: Range, limit: number, signal?: AbortSignal): Promise<Events> {
  const q = new URLSearchParams({
    from: String(Math.round(range.from)),
    to: String(Math.round(range.to)),
    limit: String(limit),
  });
  return get('/api/v1/events', q, timeshapes.events, signal);
}

/** What differs in a range from an equally long one that begins at `against`. */
export function fetchDiff(range: Range, against: number, limit: number, signal?: AbortSignal): Promise<GraphDiff> {
  const q = new URLSearchParams({
    from: String(Math.round(range.from)),
    to: String(Math.round(range.to)),
    against: String(Math.round(against)),
    limit: String(limit),
  });
  return get('/api/v1/graph/diff', q, timeshapes.graphDiff, signal);
}

export function fetchTraces(query: URLSearchParams, signal?: AbortSignal): Promise<TraceSearch> {
  return get('/api/v1/traces', query, shapes.traceSearch, signal);
}

export function fetchTrace(id: string, signal?: AbortSignal): Promise<Trace> {
  return get(`/api/v1/traces/${encodeURIComponent(id)}`, undefined, shapes.trace, signal);
}

export async function fetchServices(signal?: AbortSignal): Promise<ServiceEntry[]> {
  return (await get('/api/v1/services', undefined, shapes.services, signal)).services;
}

export function fetchQuotas(signal?: AbortSignal): Promise<Quotas> {
  return get('/api/v1/quotas', undefined, shapes.quotas, signal);
}

export function fetchStatus(signal?: AbortSignal): Promise<Status> {
  return get('/api/v1/status', undefined, shapes.status, signal);
}

/** The parts of an Envoy's configuration that the server writes. */
export type EnvoyPart = 'bootstrap' | 'cluster' | 'tracing' | 'access_log' | 'rate_limit' | 'rate_limits';

/** A part of an Envoy's configuration, as YAML, with this server's addresses. */
export async function fetchEnvoyPart(part: EnvoyPart, signal?: AbortSignal): Promise<string> {
  return (await ask('/api/v1/connect/envoy', new URLSearchParams({ part }), 'text/yaml', signal)).text();
}

/** The environment by which an OpenTelemetry SDK sends to this server, as lines for a shell. */
export async function fetchSdkEnvironment(signal?: AbortSignal): Promise<string> {
  return (await ask('/api/v1/connect/opentelemetry', undefined, 'text/plain', signal)).text();
}

/** One series of a Prometheus answer: its labels, and [seconds, value] points. */
export interface PromSeries {
  metric: Record<string, string>;
  values: [number, number][];
}

const sample: Check<[number, number]> = (v, p) => {
  if (!Array.isArray(v) || v.length !== 2) throw new ShapeError(p, 'a pair', v);
  const [t, x] = v as unknown[];
  return [num(t, `${p}[0]`), Number(text(x, `${p}[1]`))];
};

// A native histogram result has `histograms` instead of `values`; we never ask for one, so it reads as no points.
const promAnswer = object({
  data: object({
    result: list(object({ metric: record(text), values: or(list(sample), undefined), value: or(sample, undefined) })),
  }),
});

export async function promRange(
  query: string,
  range: Range,
  step: number,
  signal?: AbortSignal,
): Promise<PromSeries[]> {
  const q = new URLSearchParams({
    query,
    start: (range.from / 1000).toFixed(3),
    end: (range.to / 1000).toFixed(3),
    step: String(step),
  });
  const a = await get('/api/v1/query_range', q, promAnswer, signal);
  return a.data.result.map((r) => ({ metric: r.metric, values: r.values ?? [] }));
}

export async function promInstant(
  query: string,
  time: number | undefined,
  signal?: AbortSignal,
): Promise<PromSeries[]> {
  const q = new URLSearchParams({ query });
  if (time !== undefined) q.set('time', (time / 1000).toFixed(3));
  const a = await get('/api/v1/query', q, promAnswer, signal);
  return a.data.result.map((r) => ({ metric: r.metric, values: r.value === undefined ? [] : [r.value] }));
}
