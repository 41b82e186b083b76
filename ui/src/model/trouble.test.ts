import { expect, test } from 'vitest';
import type { Graph, GraphEdge, GraphNode, GroupInfo, Judgement } from '../api/types';
import { GraphModel } from './graph';
import { blamed, blameOf, bySeverity, counts, partOfEdge, standsFor, troubleIn, troubleOf, troubles } from './trouble';
import { wakeOf } from './wake';

const judgement = (because: string, kind: Judgement['kind'] = 'slow', score = 1): Judgement => ({
  kind,
  since: 1000,
  because,
  says: 'it is ill',
  score,
});

const node = (id: string, more: Partial<GraphNode> = {}): GraphNode => ({
  id,
  name: id.slice(id.indexOf('/') + 1),
  namespace: 'shop',
  cluster: '',
  kind: 'service',
  system: '',
  versions: [],
  health: 'ok',
  windows: {},
  last_seen: 0,
  ...more,
});
const ill = (id: string, because: string, kind: Judgement['kind'] = 'slow', score = 1): GraphNode =>
  node(id, { health: 'degraded', judgement: judgement(because, kind, score) });
const rates = (rate: number, error_rate = 0): GraphNode['windows'] => ({
  '10s': { rate, error_rate, throttled_rate: 0, p50: 1, p90: 2, p99: 3 },
});
const edge = (source: string, target: string, more: Partial<GraphEdge> = {}): GraphEdge => ({
  id: `${source}>${target}`,
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
  ...more,
});
const group = (id: string, info: Partial<GroupInfo>, health: GraphNode['health'] = 'degraded'): GraphNode =>
  node(id, {
    kind: 'group',
    health,
    group: { members: 9, shown: 0, open: false, failing: 0, degraded: 0, culprits: 0, victims: 0, inner: {}, ...info },
  });
const model = (g: Partial<Graph>): GraphModel => {
  const m = new GraphModel();
  m.reset({ version: 1, time: 61_000, origin: 'live', nodes: [], edges: [], culprits: [], ...g });
  return m;
};

test('the server’s judgement comes before the figures', () => {
  const failing = node('shop/cart', { health: 'degraded', windows: rates(10, 2) });
  expect(troubleOf(failing, '10s')).toBe('failing');
  expect(troubleOf({ ...failing, judgement: judgement('') }, '10s')).toBe('slow');
  expect(troubleOf({ ...failing, judgement: judgement('', 'other') }, '10s')).toBe('failing');
  expect(troubleOf(node('shop/cart', { windows: rates(10, 2) }), '10s')).toBeUndefined();
});

test('blame: itself, another, or nobody says', () => {
  expect(blameOf(node('a'))).toEqual({ part: 'well', cause: undefined });
  expect(blameOf(node('a', { health: 'failing' }))).toEqual({ part: 'accused', cause: undefined });
  expect(blameOf(ill('a', ''))).toEqual({ part: 'culprit', cause: undefined });
  expect(blameOf(ill('a', 'a'))).toEqual({ part: 'culprit', cause: undefined });
  expect(blameOf(ill('a', 'x'))).toEqual({ part: 'victim', cause: 'x' });
});

const nobody = model({});

test('of the edges those that reach who is to blame are loud, those on the way suffer', () => {
  expect(partOfEdge(edge('a', 'b', { judgement: judgement('b') }), nobody)).toBe('culprit');
  expect(partOfEdge(edge('a', 'b', { judgement: judgement('c') }), nobody)).toBe('victim');
  // It is called no more by one that fails.
  expect(partOfEdge(edge('a', 'b', { judgement: judgement('a', 'cut_off') }), nobody)).toBe('culprit');
  expect(partOfEdge(edge('a', 'b', { health: 'failing' }), nobody)).toBe('accused');
  expect(partOfEdge(edge('a', 'b'), nobody)).toBe('well');
});

test('a folded group has the part of its worst member, in that one’s way', () => {
  const worst = { id: 'shop/x', name: 'x', suffer: 3, judgement: judgement('', 'throttled') };
  const guilty = group('group:shop', { culprits: 1, victims: 2, degraded: 3, worst });
  expect(blameOf(guilty).part).toBe('culprit');
  expect(troubleIn(guilty, '10s')).toBe('throttled');
  expect(blameOf(group('group:shop', { victims: 2, degraded: 2 })).part).toBe('victim');
  expect(blameOf(group('group:shop', { degraded: 1 })).part).toBe('accused');
  expect(blameOf(group('group:shop', {}, 'ok')).part).toBe('well');
});

test('culprits as the server ranks them, then who is accused, then victims; the well by traffic', () => {
  const m = model({
    nodes: [
      node('busy', { windows: rates(99) }),
      node('gone', { health: 'idle' }),
      ill('v1', 'c2', 'slow', 1),
      ill('v2', 'c2', 'slow', 5),
      node('x', { health: 'failing', windows: rates(10, 1) }),
      node('y', { health: 'failing', windows: rates(10, 5) }),
      ill('c1', '', 'slow', 3),
      ill('c2', '', 'failing', 9),
      node('quiet', { windows: rates(1) }),
    ],
    culprits: ['c2', 'c1'],
  });
  expect(troubles(m, '10s')).toEqual(['c2', 'c1', 'y', 'x', 'v1', 'v2']);
  const order = [...m.nodes.values()].sort(bySeverity(m, '10s')).map((n) => n.id);
  expect(order).toEqual(['c2', 'c1', 'x', 'y', 'v2', 'v1', 'busy', 'quiet', 'gone']);
  expect(counts(m)).toEqual({ culprits: 2, accused: 2, victims: 2 });
});

test('the line at the top: who, and how many suffer by him', () => {
  const m = model({ nodes: [ill('c', ''), ill('a', 'c'), ill('b', 'c'), ill('d', '')], culprits: ['c', 'd'] });
  expect(blamed(m).map((b) => [b.name, b.suffer, b.judgement?.kind])).toEqual([
    ['c', 2, 'slow'],
    ['d', 0, 'slow'],
  ]);
  expect(blamed(model({}))).toEqual([]);
});

test('a culprit that leaves takes the victims’ arrows along, and is told of no more', () => {
  const m = model({
    nodes: [ill('c', ''), ill('a', 'c')],
    edges: [edge('a', 'c', { judgement: judgement('c') })],
    culprits: ['c'],
  });
  expect([...wakeOf(m).edges]).toEqual(['a>c']);
  m.apply({
    version: 2,
    time: 2,
    nodes: [],
    edges: [],
    removed_nodes: ['c'],
    removed_edges: ['a>c'],
    culprits: [],
  });
  expect(blamed(m)).toEqual([]);
  expect(troubles(m, '10s')).toEqual(['a']);
  expect(wakeOf(m)).toEqual({ edges: new Set(), apart: [] });
});

test('a culprit folded away is named, gone to, and pointed at through its group', () => {
  const worst = { id: 'back/stock', name: 'stock', suffer: 4, judgement: judgement('') };
  const m = model({
    nodes: [
      group('group:back', { culprits: 2, victims: 1, degraded: 3, worst }),
      group('group:shop', { victims: 3, degraded: 3 }),
      group('group:edge', { open: true, culprits: 0, victims: 1, degraded: 1 }),
      ill('edge/gateway', 'back/stock'),
    ],
    culprits: ['back/stock', 'back/ledger'],
  });
  expect(blamed(m).map((b) => [b.id, b.name, b.suffer])).toEqual([
    ['back/stock', 'stock', 4],
    ['back/ledger', 'ledger', 0],
  ]);
  expect(standsFor(m, 'back/stock')).toBe('group:back');
  expect(standsFor(m, 'back/ledger')).toBe('group:back');
  expect(standsFor(m, 'gone/away')).toBeUndefined();
  expect(troubles(m, '10s')).toEqual(['back/stock', 'back/ledger', 'edge/gateway', 'group:shop']);
  const into = edge('group:shop', 'group:back', { bundle: 3, judgement: judgement('back/stock') });
  expect(partOfEdge(into, m)).toBe('culprit');
  expect(partOfEdge({ ...into, source: 'edge/gateway', target: 'group:shop' }, m)).toBe('victim');
  // An open group's members count themselves.
  expect(counts(m)).toEqual({ culprits: 2, accused: 0, victims: 5 });
});

test('the way from a victim to its cause is that of the ill calls', () => {
  const sick = { judgement: judgement('c') };
  const m = model({
    nodes: [ill('c', ''), ill('a', 'c'), ill('b', 'c'), node('w'), ill('alone', 'c')],
    edges: [edge('a', 'b', sick), edge('b', 'c', sick), edge('a', 'w'), edge('w', 'c'), edge('c', 'alone')],
    culprits: ['c'],
  });
  const wake = wakeOf(m);
  expect([...wake.edges].sort()).toEqual(['a>b', 'b>c']);
  expect(wake.apart).toEqual([['alone', 'c']]);
});

test('the way goes round in no circle', () => {
  const m = model({
    nodes: [ill('c', ''), ill('a', 'c'), ill('b', 'c')],
    edges: [edge('a', 'b'), edge('b', 'a'), edge('b', 'c')],
    culprits: ['c'],
  });
  expect([...wakeOf(m).edges].sort()).toEqual(['a>b', 'b>c']);
});
