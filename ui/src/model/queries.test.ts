import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { GraphNode } from '../api/types';
import { between, golden, inbound, meshRate, outbound, outcomeOf, stepFor } from './queries';

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

test('selectors quote what users named, and tell apart what has one name', () => {
  expect(inbound(node({ name: 'a"b\\', namespace: 'n' }))).toBe(
    'binnacle_edge_duration_seconds{destination="a\\"b\\\\",destination_namespace="n",destination_kind=~"service|unknown"}',
  );
  expect(outbound(node({ name: 'db', kind: 'database' }))).toBe(
    'binnacle_edge_duration_seconds{source="db",source_namespace="",source_kind="database"}',
  );
  expect(between(node({ name: 'a', namespace: 's' }), node({ name: 'db', kind: 'database' }), 'database')).toBe(
    'binnacle_edge_duration_seconds{source="a",source_namespace="s",source_kind=~"service|unknown",destination="db",destination_namespace="",destination_kind="database",protocol="database"}',
  );
});

// The server's own tests ask these to the letter, and hold their answers against what the graph shows.
const stories = join(import.meta.dirname, '../../../aggregator/views/testdata/stories');
const asked = (story: string): string[] => readFileSync(join(stories, story), 'utf8').split('\n');

test('the whole mesh is asked for as a test of the server proves it', () => {
  expect(asked('outcomes')).toContain(meshRate('1m'));
});

test('so are the charts of a node', () => {
  const q = golden(inbound(node({ name: 'stock', namespace: 'shop' })), '1m');
  const story = asked('node_charts');
  for (const query of [q.rate, q.p50, q.p90, q.p99, q.inFlight]) expect(story).toContain(query);
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
