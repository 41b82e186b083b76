import type { GraphNode } from '../api/types';

// PromQL over the canonical series. The same request is in the store once per witness (caller's and callee's span and
// proxy log), so a plain sum would count it up to four times. Every query takes of each edge what the one witness told
// that saw most at the time, and no other's: that is how the server picks the figures of the graph. A node's edges may each
// have another one, and the most of each outcome by itself would count a request twice that one calls an error and
// another does not. Of witnesses that saw as many the weight has it be the one that the graph takes.

function quote(v: string): string {
  return `"${v.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

/** Selects series of edges by what their labels must be. */
function selector(...matchers: string[]): string {
  return `binnacle_edge_duration_seconds${matchers.length === 0 ? '' : `{${matchers.join(',')}}`}`;
}

/**
 * What the labels of a node on one side of the edges are. A service of which nothing but its name was known when the series
 * were written is of kind `unknown` in them.
 */
function end(prefix: 'source' | 'destination', n: GraphNode): string[] {
  const kind = n.kind === 'service' ? '=~"service|unknown"' : `=${quote(n.kind)}`;
  return [`${prefix}=${quote(n.name)}`, `${prefix}_namespace=${quote(n.namespace)}`, `${prefix}_kind${kind}`];
}

/** Selects the traffic into a node. */
export function inbound(n: GraphNode): string {
  return selector(...end('destination', n));
}

/** Selects the traffic out of a node. */
export function outbound(n: GraphNode): string {
  return selector(...end('source', n));
}

/** Selects the traffic of one edge. */
export function between(source: GraphNode, target: GraphNode, protocol: string): string {
  return selector(...end('source', source), ...end('destination', target), `protocol=${quote(protocol)}`);
}

/** The rates of what is shown of each edge that is selected, as histograms. */
function shown(select: string, window: string): string {
  const end = (of: string): string => ['', '_namespace', '_cluster', '_kind'].map((l) => of + l).join(', ');
  const edge = `${end('source')}, ${end('destination')}, protocol`;
  const witness = `${edge}, side, evidence`;
  const rated = `rate(${select}[${window}])`;
  return `${rated} and on (${witness}) topk by (${edge}) (1, sum by (${witness}) (histogram_count(${rated})) * on (side, evidence) group_left binnacle_witness_weight)`;
}

export interface GoldenQueries {
  /** Requests a second, a series an outcome. */
  rate: string;
  p50: string;
  p90: string;
  p99: string;
  /** Requests in flight on average: Little's law, seconds of work done a second. */
  inFlight: string;
}

/** The golden signals of a selector, each over a sliding window. */
export function golden(select: string, window: string): GoldenQueries {
  const of = shown(select, window);
  const quantile = (q: number): string => `1000 * histogram_quantile(${q}, sum(${of}))`;
  return {
    rate: `sum by (outcome) (histogram_count(${of}))`,
    p50: quantile(0.5),
    p90: quantile(0.9),
    p99: quantile(0.99),
    inFlight: `sum(histogram_sum(${of}))`,
  };
}

/** Requests a second of the whole mesh by outcome. */
export function meshRate(window: string): string {
  return golden(selector(), window).rate;
}

/** Rate, errors and p99 of each operation of a service. */
export function operations(n: GraphNode, window: string): { rate: string; p50: string; p99: string } {
  const select = `binnacle_operation_duration_seconds{service=${quote(n.name)},namespace=${quote(n.namespace)}}`;
  const rated = `rate(${select}[${window}])`;
  return {
    rate: `sum by (operation, kind, outcome, status) (histogram_count(${rated}))`,
    p50: `1000 * histogram_quantile(0.5, sum by (operation, kind) (${rated}))`,
    p99: `1000 * histogram_quantile(0.99, sum by (operation, kind) (${rated}))`,
  };
}

/**
 * How the requests of an operation's series ended. Series that were written before operations had an outcome have the
 * span's status alone: their errors count what was throttled as well.
 */
export function outcomeOf(metric: Record<string, string>): 'ok' | 'error' | 'throttled' {
  const outcome = metric.outcome ?? metric.status;
  return outcome === 'error' || outcome === 'throttled' ? outcome : 'ok';
}

/** A step that gives about `points` points, on a round number of seconds. */
export function stepFor(spanMs: number, points: number): number {
  const raw = spanMs / 1000 / points;
  return [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600].find((s) => s >= raw) ?? 86400;
}
