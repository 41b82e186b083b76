import { expect, test } from 'vitest';
import type { GraphEdge, GraphNode } from '../api/types';
import { GraphModel, errorShare, signalsOf, tellingFigure } from './graph';

function node(id: string, over: Partial<GraphNode> = {}): GraphNode {
  return {
    id,
    name: id,
    namespace: '',
    cluster: '',
    kind: 'service',
    system: '',
    versions: [],
    health: 'ok',
    windows: {},
    last_seen: 0,
    ...over,
  };
}
function edge(source: string, target: string, over: Partial<GraphEdge> = {}): GraphEdge {
  return {
    id: `${source}>${target}|http`,
    source,
    target,
    protocol: 'http',
    health: 'ok',
    windows: {},
    totals: { requests: 0, errors: 0, throttled: 0 },
    witnesses: { client_span: 0, server_span: 0, client_log: 0, server_log: 0 },
    mtls: -1,
    throttled_by: [],
    exemplars: [],
    first_seen: 0,
    last_seen: 0,
    ...over,
  };
}
const none = { nodes: [], edges: [], removed_nodes: [], removed_edges: [], culprits: [] };

function chain(): GraphModel {
  const m = new GraphModel();
  m.reset({
    version: 1,
    time: 1,
    origin: 'live',
    nodes: ['a', 'b', 'c', 'd'].map((i) => node(i)),
    edges: [edge('a', 'b'), edge('b', 'c'), edge('c', 'd')],
    culprits: [],
  });
  return m;
}

test('a delta replaces by id, adds and removes, and tells whether the shape changed', () => {
  const m = chain();
  expect(m.apply({ ...none, version: 2, time: 2, nodes: [node('a', { health: 'failing' })] })).toEqual({
    shape: false,
    newNodes: [],
  });
  expect(m.nodes.get('a')?.health).toBe('failing');
  expect(m.apply({ ...none, version: 3, time: 3, nodes: [node('e')], edges: [edge('d', 'e')] })).toEqual({
    shape: true,
    newNodes: ['e'],
  });
  expect(m.outgoing('d').map((e) => e.target)).toEqual(['e']);
  expect(m.apply({ ...none, version: 4, time: 4, removed_edges: ['d>e|http'], removed_nodes: ['e'] })?.shape).toBe(
    true,
  );
  expect(m.outgoing('d')).toEqual([]);
  expect(m.nodes.has('e')).toBe(false);
});

test('a delta older than the snapshot is refused', () => {
  const m = chain();
  m.apply({ ...none, version: 9, time: 9 });
  expect(m.apply({ ...none, version: 9, time: 9, removed_nodes: ['a'] })).toBeUndefined();
  expect(m.nodes.has('a')).toBe(true);
});

test('an edge whose end has not arrived is incomplete, and completes later', () => {
  const m = new GraphModel();
  const e = edge('a', 'b');
  m.reset({ version: 1, time: 1, origin: 'live', nodes: [node('a')], edges: [e], culprits: [] });
  expect(m.complete(e)).toBe(false);
  m.apply({ ...none, version: 2, time: 2, nodes: [node('b')] });
  expect(m.complete(e)).toBe(true);
});

test('a snapshot with the same shape is no change of shape', () => {
  const m = chain();
  const again = {
    version: 20,
    time: 20,
    origin: 'live' as const,
    nodes: [...m.nodes.values()],
    edges: [...m.edges.values()],
    culprits: [],
  };
  expect(m.reset(again)).toEqual({ shape: false, newNodes: [] });
  expect(m.reset({ ...again, edges: again.edges.slice(1) }).shape).toBe(true);
});

test('a neighbourhood goes both ways, hop by hop', () => {
  const m = chain();
  expect([...m.neighbourhood('b', 1)].sort()).toEqual(['a', 'b', 'c']);
  expect([...m.neighbourhood('b', 2)].sort()).toEqual(['a', 'b', 'c', 'd']);
  expect([...m.neighbourhood('a', 0)]).toEqual(['a']);
});

test('signals: a past range answers whatever window is asked, silence is zero', () => {
  const s = { rate: 10, error_rate: 1, throttled_rate: 0, p50: 1, p90: 2, p99: 3 };
  expect(signalsOf(node('a', { windows: { range: s } }), '10s')).toBe(s);
  expect(signalsOf(node('a'), '10s').rate).toBe(0);
  expect(errorShare(s)).toBeCloseTo(0.1);
  expect(errorShare(signalsOf(node('a'), '1m'))).toBe(0);
});

test('what is unwell is the server’s word: figures alone point at nothing', () => {
  const s = (error_rate: number, throttled_rate: number) => ({
    rate: 10,
    error_rate,
    throttled_rate,
    p50: 1,
    p90: 1,
    p99: 9000,
  });
  expect(tellingFigure('ok', s(9, 9))).toBeUndefined();
  expect(tellingFigure('idle', s(9, 9))).toBeUndefined();
  expect(tellingFigure('failing', s(3, 5))).toBe('errors');
  expect(tellingFigure('degraded', s(0.05, 5))).toBe('throttled');
  expect(tellingFigure('degraded', s(0, 0))).toBe('latency');
});

test('a delta brings the culprits anew, and none when it has none', () => {
  const m = chain();
  m.reset({ version: 1, time: 1, origin: 'live', nodes: [node('a'), node('b')], edges: [], culprits: ['a', 'b'] });
  expect(m.culprits).toEqual(['a', 'b']);
  m.apply({ ...none, version: 2, time: 2, culprits: ['b'] });
  expect(m.culprits).toEqual(['b']);
  expect(m.apply({ ...none, version: 2, time: 2, culprits: ['a'] })).toBeUndefined();
  expect(m.culprits).toEqual(['b']);
  m.apply({ ...none, version: 3, time: 3 });
  expect(m.culprits).toEqual([]);
});
