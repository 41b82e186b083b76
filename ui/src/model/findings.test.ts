import { expect, test } from 'vitest';
import type { Finding, GraphNode } from '../api/types';
import { findingsOf, findingWords, inOrder, noticed } from './findings';
import { GraphModel } from './graph';

const finding = (subject: string, nodes: string[], more: Partial<Finding> = {}): Finding => ({
  ...{ kind: 'clock_off', subject, severity: 'warning', says: 'it is off', evidence: [], remedy: '', count: 1 },
  ...{ since: 1, loss: false, nodes, edges: [] },
  ...more,
});
const node = (id: string, more: Partial<GraphNode> = {}): GraphNode => ({
  ...{ id, name: id, namespace: 'shop', cluster: '', kind: 'service', system: '', versions: [], health: 'ok' },
  ...{ windows: {}, last_seen: 0 },
  ...more,
});

test('a finding is at its nodes, or at the group that they are folded into, once', () => {
  const m = new GraphModel();
  const inner = { members: 9, shown: 0, open: false, failing: 0, degraded: 0, culprits: 0, victims: 0, inner: {} };
  const f = finding('x', ['back/a', 'back/b', 'shop/c', 'nowhere/d']);
  m.reset({
    ...{ version: 1, time: 1, origin: 'live', edges: [], culprits: [], findings: [f] },
    nodes: [node('shop/c'), node('group:back', { kind: 'group', group: inner })],
  });
  expect([...noticed(m).nodes].map(([id, l]) => [id, l.length])).toEqual([
    ['group:back', 1],
    ['shop/c', 1],
  ]);
  expect(findingsOf(m, 'shop/c')).toEqual([f]);
});

test('warnings come first, then the newest; a kind of a newer server is told by its name', () => {
  const list = [finding('a', [], { severity: 'info', since: 9 }), finding('b', []), finding('c', [], { since: 5 })];
  expect(inOrder(list).map((f) => f.subject)).toEqual(['c', 'b', 'a']);
  expect(findingWords('headers_dropped')).toBe('drops trace headers');
  expect(findingWords('something_new')).toBe('something new');
});
