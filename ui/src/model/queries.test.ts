import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { GraphEdge, GraphNode, Witnesses } from '../api/types';
import { bestWitness, between, golden, inbound, meshRate, outcomeOf, stepFor } from './queries';

const node = (over: Partial<GraphNode>): GraphNode => ({
  id: 'x',
  name: 'x',
  namespace: '',
  cluster: '',
  kind: 'service',
  system: '',
  versions: [],
  health: 'ok',
  windows: {},
  last_seen: 0,
  ...over,
});
const seen = (witnesses: Witnesses): GraphEdge => ({
  id: 'a>b',
  source: 'a',
  target: 'b',
  protocol: 'http',
  health: 'ok',
  windows: {},
  totals: { requests: 0, errors: 0, throttled: 0 },
  witnesses,
  mtls: -1,
  throttled_by: [],
  exemplars: [],
  first_seen: 0,
  last_seen: 0,
});

test('the witness that saw most, over all edges', () => {
  expect(
    bestWitness([
      seen({ client_span: 9, server_span: 5, client_log: 0, server_log: 0 }),
      seen({ client_span: 0, server_span: 7, client_log: 0, server_log: 2 }),
    ]),
  ).toEqual({ side: 'server', evidence: 'span' });
  expect(bestWitness([seen({ client_span: 3, server_span: 0, client_log: 0, server_log: 0 })])).toEqual({
    side: 'client',
    evidence: 'span',
  });
  expect(bestWitness([])).toEqual({ side: 'server', evidence: 'log' });
});

test('the lead of a moment does not change the witness', () => {
  const held = { side: 'client', evidence: 'log' } as const;
  expect(bestWitness([seen({ client_span: 10, server_span: 12, client_log: 9, server_log: 11 })], held)).toEqual(held);
  expect(bestWitness([seen({ client_span: 10, server_span: 14, client_log: 9, server_log: 11 })], held)).toEqual({
    side: 'server',
    evidence: 'span',
  });
  expect(bestWitness([seen({ client_span: 1, server_span: 0, client_log: 0, server_log: 0 })], held)).toEqual({
    side: 'client',
    evidence: 'span',
  });
});

test('selectors quote what users named', () => {
  const w = { side: 'client', evidence: 'span' } as const;
  expect(inbound(node({ name: 'a"b\\', namespace: 'n' }), w)).toBe(
    'binnacle_edge_duration_seconds{destination="a\\"b\\\\",destination_namespace="n",side="client",evidence="span"}',
  );
  expect(between(node({ name: 'a', namespace: 's' }), node({ name: 'db', kind: 'database' }), 'database', w)).toBe(
    'binnacle_edge_duration_seconds{source="a",source_namespace="s",destination="db",destination_namespace="",destination_kind="database",protocol="database",side="client",evidence="span"}',
  );
});

test('golden signals are built on native histograms', () => {
  const q = golden('m{}', '1m');
  expect(q.rate).toBe('sum by (outcome) (histogram_count(rate(m{}[1m])))');
  expect(q.p99).toBe('1000 * histogram_quantile(0.99, sum(rate(m{}[1m])))');
  expect(q.inFlight).toBe('sum(histogram_sum(rate(m{}[1m])))');
});

test('the whole mesh is asked for as a test of the server proves it', () => {
  const stories = join(import.meta.dirname, '../../../aggregator/views/testdata/stories');
  expect(readFileSync(join(stories, 'outcomes'), 'utf8').split('\n')).toContain(meshRate('1m'));
});

test('an operation is throttled or in error by its outcome, and by its status only where it has none', () => {
  expect(outcomeOf({ outcome: 'ok', status: 'error' })).toBe('ok');
  expect(outcomeOf({ outcome: 'throttled', status: 'error' })).toBe('throttled');
  expect(outcomeOf({ outcome: 'error', status: 'unset' })).toBe('error');
  expect(outcomeOf({ status: 'error' })).toBe('error');
  expect(outcomeOf({ status: 'unset' })).toBe('ok');
});

test('steps are round', () => {
  expect([60_000, 900_000, 3_600_000, 86_400_000].map((s) => stepFor(s, 120))).toEqual([1, 10, 30, 1800]);
});
