import { expect, test } from 'vitest';
import type { Span, Trace } from '../api/types';
import { buildTree, searchRows, selfTime, visibleRows } from './trace';

function span(id: string, parent: string, start: number, duration: number, over: Partial<Span> = {}): Span {
  return {
    span_id: id,
    parent_span_id: parent,
    name: id,
    kind: 'internal',
    service: 's',
    namespace: '',
    version: '',
    start,
    duration,
    status: 'unset',
    status_message: '',
    attributes: {},
    resource: {},
    events: [],
    links: [],
    ...over,
  };
}
function trace(...spans: Span[]): Trace {
  return {
    trace_id: 't',
    start: 0,
    duration: Math.max(0, ...spans.map((s) => s.start + s.duration)),
    spans,
    requests: [],
    incomplete: [],
  };
}
const names = (t: { rows: Span[] }): string[] => t.rows.map((s) => s.name);

test('depth first, siblings by start, whatever the order of arrival', () => {
  const t = buildTree(trace(span('c', 'a', 5, 2), span('b', 'a', 1, 3), span('d', 'b', 2, 1), span('a', '', 0, 10)));
  expect(names(t)).toEqual(['a', 'b', 'd', 'c']);
  expect([...t.depth]).toEqual([0, 1, 2, 1]);
  expect([...t.end]).toEqual([4, 3, 3, 4]);
});

test('a missing parent makes an orphan root; a cycle is cut; no span is lost', () => {
  const t = buildTree(
    trace(
      span('a', '', 0, 9),
      span('o', 'gone', 1, 1),
      span('x', 'y', 2, 1),
      span('y', 'x', 3, 1),
      span('self', 'self', 4, 1),
    ),
  );
  expect(names(t).sort()).toEqual(['a', 'o', 'self', 'x', 'y']);
  expect(t.orphan[names(t).indexOf('o')]).toBe(1);
});

test('a server half that shares its id hangs under the client half, and the children under the server', () => {
  const t = buildTree(
    trace(
      span('1', '', 0, 20, { name: 'root' }),
      span('2', '1', 1, 10, { name: 'client', kind: 'client' }),
      span('2', '1', 2, 8, { name: 'server', kind: 'server' }),
      span('3', '2', 3, 1, { name: 'work' }),
    ),
  );
  expect(names(t)).toEqual(['root', 'client', 'server', 'work']);
  expect([...t.depth]).toEqual([0, 1, 2, 3]);
});

test('collapsing jumps over the subtree', () => {
  const t = buildTree(trace(span('a', '', 0, 10), span('b', 'a', 1, 3), span('d', 'b', 2, 1), span('c', 'a', 5, 2)));
  expect([...visibleRows(t, new Set([1]))]).toEqual([0, 1, 3]);
  expect([...visibleRows(t, new Set([0]))]).toEqual([0]);
});

test('the critical path: what was waited for, back from the end', () => {
  // a waits for c (which overlaps b), then works alone; b before c's start was waited for as well.
  const t = buildTree(
    trace(
      span('a', '', 0, 100),
      span('b', 'a', 10, 20),
      span('c', 'a', 40, 40),
      span('d', 'c', 50, 20),
      span('late', 'a', 120, 5),
    ),
  );
  const at = (name: string): unknown => t.critical.get(names(t).indexOf(name));
  expect(at('a')).toEqual([
    { from: 0, to: 10 },
    { from: 30, to: 40 },
    { from: 80, to: 100 },
  ]);
  expect(at('b')).toEqual([{ from: 10, to: 30 }]);
  expect(at('c')).toEqual([
    { from: 40, to: 50 },
    { from: 70, to: 80 },
  ]);
  expect(at('d')).toEqual([{ from: 50, to: 70 }]);
  expect(at('late')).toBeUndefined();
});

test('the critical path of any tree covers the root exactly once', () => {
  let seed = 7;
  const rnd = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let round = 0; round < 50; round++) {
    const spans = [span('0', '', 0, 1000)];
    for (let i = 1; i < 60; i++) {
      const p = spans[Math.floor(rnd() * spans.length)]!;
      const start = p.start + rnd() * p.duration;
      spans.push(span(String(i), p.span_id, start, rnd() * (p.start + p.duration - start)));
    }
    const t = buildTree(trace(...spans));
    const parts = [...t.critical.values()].flat().sort((a, b) => a.from - b.from);
    let at = 0;
    for (const p of parts) {
      expect(p.from).toBeCloseTo(at, 6);
      at = p.to;
    }
    expect(at).toBeCloseTo(1000, 6);
  }
});

test('a chain of 10,000 does not exhaust the stack', () => {
  const spans = Array.from({ length: 10_000 }, (_, i) =>
    span(String(i), i === 0 ? '' : String(i - 1), i, 20_000 - 2 * i),
  );
  const t = buildTree(trace(...spans));
  expect(t.rows.length).toBe(10_000);
  expect(t.depth[9999]).toBe(9999);
});

test('search looks into names and attributes', () => {
  const t = buildTree(
    trace(span('a', '', 0, 9, { attributes: { 'http.route': '/Cart' } }), span('b', 'a', 1, 1, { service: 'pay' })),
  );
  expect(searchRows(t, 'cart')).toEqual([0]);
  expect(searchRows(t, 'http.route=/cart')).toEqual([0]);
  expect(searchRows(t, 'PAY')).toEqual([1]);
  expect(searchRows(t, ' ')).toEqual([]);
});

test('own time is what the children leave', () => {
  const t = buildTree(trace(span('a', '', 0, 10), span('b', 'a', 1, 3), span('c', 'a', 3, 3)));
  expect(selfTime(t, 0)).toBeCloseTo(5);
});
