import type { GraphEdge, GraphNode, Witnesses } from '../api/types';

// PromQL over the canonical series. The same request is in the store once per witness (caller's and callee's span and
// proxy log), so a plain sum would count it up to four times: every query names one witness, the one that saw most,
// which is how the server picks the figures of the graph as well.

export interface Witness {
  side: 'client' | 'server';
  evidence: 'span' | 'log';
}

/**
 * The witness that reported most requests of the given edges; the callee's log wins a tie, standing nearest to the work.
 * Witnesses of one request report within the same second but not at once, so the lead changes hands all the time: the one
 * that is `held` stays until another has seen half as much again.
 */
export function bestWitness(edges: readonly GraphEdge[], held?: Witness): Witness {
  const sum = (k: keyof Witnesses): number => edges.reduce((n, e) => n + e.witnesses[k], 0);
  const ranked: [Witness, number][] = [
    [{ side: 'server', evidence: 'log' }, sum('server_log')],
    [{ side: 'server', evidence: 'span' }, sum('server_span')],
    [{ side: 'client', evidence: 'log' }, sum('client_log')],
    [{ side: 'client', evidence: 'span' }, sum('client_span')],
  ];
  const best = ranked.reduce((b, r) => (r[1] > b[1] ? r : b));
  const kept = ranked.find(([w]) => w.side === held?.side && w.evidence === held.evidence);
  return kept !== undefined && kept[1] > 0 && best[1] < kept[1] * 1.5 ? kept[0] : best[0];
}

function quote(v: string): string {
  return `"${v.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

function selector(labels: Record<string, string>): string {
  return `binnacle_edge_duration_seconds{${Object.entries(labels)
    .map(([k, v]) => `${k}=${quote(v)}`)
    .join(',')}}`;
}

/** Labels that pick a node on one side of the edges. A service's kind is left out: stores may leave the commonest kind empty. */
function end(prefix: 'source' | 'destination', n: GraphNode): Record<string, string> {
  const labels: Record<string, string> = { [prefix]: n.name, [`${prefix}_namespace`]: n.namespace };
  if (n.kind !== 'service') labels[`${prefix}_kind`] = n.kind;
  return labels;
}

/** Selects the traffic into a node. */
export function inbound(n: GraphNode, w: Witness): string {
  return selector({ ...end('destination', n), ...w });
}

/** Selects the traffic out of a node. */
export function outbound(n: GraphNode, w: Witness): string {
  return selector({ ...end('source', n), ...w });
}

/** Selects the traffic of one edge. */
export function between(source: GraphNode, target: GraphNode, protocol: string, w: Witness): string {
  return selector({ ...end('source', source), ...end('destination', target), protocol, ...w });
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
  const rated = `rate(${select}[${window}])`;
  const quantile = (q: number): string => `1000 * histogram_quantile(${q}, sum(${rated}))`;
  return {
    rate: `sum by (outcome) (histogram_count(${rated}))`,
    p50: quantile(0.5),
    p90: quantile(0.9),
    p99: quantile(0.99),
    inFlight: `sum(histogram_sum(${rated}))`,
  };
}

/**
 * Requests a second of the whole mesh by outcome: of each edge what the one witness told that saw most, as on the map. The
 * most of each outcome by itself would count a request twice that one witness calls an error and another does not.
 */
export function meshRate(window: string): string {
  const end = (of: string): string => ['', '_namespace', '_cluster', '_kind'].map((l) => of + l).join(', ');
  const edge = `${end('source')}, ${end('destination')}, protocol`;
  const witness = `${edge}, side, evidence`;
  const rated = `histogram_count(rate(binnacle_edge_duration_seconds[${window}]))`;
  return `sum by (outcome) (sum by (${witness}, outcome) (${rated}) and on (${witness}) topk by (${edge}) (1, sum by (${witness}) (${rated})))`;
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
