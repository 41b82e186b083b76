import { expect, test } from 'vitest';
import type { Changed, Compared, EdgeDiff, GraphDiff, NodeDiff } from '../api/timetypes';
import type { GraphNode } from '../api/types';
import { changeWords, diffMarks, foremost, ghostsOf } from './diff';
import { GraphModel } from './graph';

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
const group = (id: string): GraphNode =>
  node(id, {
    kind: 'group',
    group: { members: 9, shown: 0, open: false, failing: 0, degraded: 0, culprits: 0, victims: 0, inner: {} },
  });
const model = (nodes: GraphNode[]): GraphModel => {
  const m = new GraphModel();
  m.reset({ version: 1, time: 1, origin: 'live', nodes, edges: [], culprits: [] });
  return m;
};
const changed = (what: Changed['what'], before: number, after: number, more: Partial<Changed> = {}): Changed => ({
  ...{ what, before, after, ratio: before === 0 ? undefined : after / before, version: '', change: 'changed' },
  ...{ p: 0.001, certain: true, says: '' },
  ...more,
});
const how = (change: Compared['change'], changes: Changed[] = []): Omit<Compared, 'id'> => ({
  ...{ change, changes, certain: true, before: undefined, after: undefined },
});
const nodeDiff = (id: string, c: Omit<Compared, 'id'>): NodeDiff => ({
  ...{ id, name: id, namespace: 'shop', cluster: '', kind: 'service', system: '' },
  ...c,
});
const edgeDiff = (source: string, target: string, c: Omit<Compared, 'id'>): EdgeDiff => ({
  ...{ id: `${source}>${target}|http`, source, target, protocol: 'http' },
  ...c,
});
const diff = (nodes: NodeDiff[], edges: EdgeDiff[]): GraphDiff => ({
  ...{ from: 2, to: 3, against_from: 1, against_to: 2, tests: 1, threshold: 1, found_nodes: 0, found_edges: 0 },
  ...{ incomplete: [], nodes, edges },
});

test('a mark tells what hurts before what is only different', () => {
  const rate = changed('rate', 10, 30);
  const errors = changed('errors', 0.001, 0.12);
  expect(foremost([rate, errors])).toBe(errors);
  // What is sure comes before what may be chance, and worse before better.
  expect(foremost([rate, { ...errors, certain: false }])).toBe(rate);
  const slower = changed('p99', 20, 80);
  expect(foremost([changed('errors', 0.2, 0.1), slower])).toBe(slower);
  expect([rate, errors, slower, changed('p99', 80, 20), changed('rate', 0, 4)].map(changeWords)).toEqual([
    'rate ×3',
    'errors 12\u202f%',
    'p99 ×4',
    'p99 ÷4',
    'rate',
  ]);
  expect(changeWords(changed('version', 0, 0, { version: 'v2', change: 'added' }))).toBe('v2 came');
});

test('what is gone has a ghost in the graph, until the comparison ends or it comes back', () => {
  const m = model([node('shop/a')]);
  const d = diff([nodeDiff('shop/old', how('gone'))], [edgeDiff('shop/a', 'shop/old', how('gone'))]);
  const ghosts = ghostsOf(d, m);
  expect(m.setGhosts(ghosts.nodes, ghosts.edges)).toEqual({ shape: true, newNodes: ['shop/old'] });
  expect(m.nodes.get('shop/old')?.ghost).toBe(true);
  expect(m.outgoing('shop/a').map((e) => e.ghost)).toEqual([true]);
  expect(diffMarks(d, m).nodes.get('shop/old')?.tone).toBe('gone');
  const none = { nodes: [], edges: [], removed_nodes: [], removed_edges: [], culprits: [] };
  m.apply({ ...none, version: 2, time: 2, nodes: [node('shop/old')] });
  expect(m.nodes.get('shop/old')?.ghost).toBeUndefined();
  m.apply({ ...none, version: 3, time: 3, removed_nodes: ['shop/old'] });
  expect(m.nodes.get('shop/old')?.ghost).toBe(true);
  expect(m.setGhosts([], []).shape).toBe(true);
  expect([...m.nodes.keys()]).toEqual(['shop/a']);
  expect(m.outgoing('shop/a')).toEqual([]);
});

test('a folded group counts what changed in it, and has no ghosts', () => {
  const m = model([group('group:shop'), group('group:back')]);
  const d = diff(
    [nodeDiff('shop/new', how('added')), nodeDiff('shop/old', how('gone'))],
    [
      edgeDiff('shop/a', 'shop/b', how('changed', [changed('rate', 1, 2)])),
      edgeDiff('shop/a', 'elsewhere/b', how('added')),
    ],
  );
  expect(diffMarks(d, m).nodes.get('group:shop')?.words).toBe('+1 −1 1 changed');
  expect(diffMarks(d, m).nodes.has('group:back')).toBe(false);
  expect(ghostsOf(d, m)).toEqual({ nodes: [], edges: [] });
});
