import { expect, test } from 'vitest';
import { graphAt } from '../../test/fixture/mesh';
import { layout, ROW, type LayoutInput } from './layout';

function shop(skip: readonly string[] = []): LayoutInput {
  const g = graphAt(0, 'calm', 1);
  return {
    nodes: g.nodes.filter((n) => !skip.includes(n.id)).map((n) => ({ id: n.id, group: n.namespace, kind: n.kind })),
    edges: g.edges
      .filter((e) => !skip.includes(e.source) && !skip.includes(e.target))
      .map((e) => ({ source: e.source, target: e.target })),
    pinned: new Map(),
  };
}
const shuffled = (i: LayoutInput): LayoutInput => ({
  ...i,
  nodes: [...i.nodes].reverse(),
  edges: [...i.edges].reverse(),
});

test('the same graph gives the same map, in whatever order it arrives', () => {
  expect([...layout(shuffled(shop()))].sort()).toEqual([...layout(shop())].sort());
});

test('callers stand left of callees, and no two nodes overlap', () => {
  const input = shop();
  const at = layout(input);
  for (const e of input.edges)
    expect(at.get(e.source)!.x, `${e.source} > ${e.target}`).toBeLessThan(at.get(e.target)!.x);
  const all = [...at.entries()];
  for (const [a, p] of all)
    for (const [b, q] of all)
      if (a < b) expect(Math.hypot(p.x - q.x, p.y - q.y), `${a} ${b}`).toBeGreaterThan(ROW * 0.9);
});

test('who has a place keeps it; newcomers land free and right of their callers', () => {
  const late = ['shop/reviews', 'back/mailer', 'database:stock-0.db'];
  const before = layout(shop(late));
  const input = { ...shop(), pinned: before };
  const after = layout(input);
  for (const [id, p] of before) expect(after.get(id), id).toEqual(p);
  for (const id of late) {
    const p = after.get(id)!;
    for (const [other, q] of after)
      if (other !== id) expect(Math.hypot(p.x - q.x, p.y - q.y), `${id} ${other}`).toBeGreaterThan(ROW * 0.9);
  }
  expect(after.get('back/mailer')!.x).toBeGreaterThan(after.get('queue:orders')!.x);
});

test('a map that grows one by one never moves anybody', () => {
  const full = shop();
  let pinned: ReturnType<typeof layout> = new Map();
  for (let n = 1; n <= full.nodes.length; n++) {
    const nodes = full.nodes.slice(0, n);
    const next = layout({ nodes, edges: full.edges, pinned });
    for (const [id, p] of pinned) expect(next.get(id)).toEqual(p);
    pinned = next;
  }
  expect(pinned.size).toBe(full.nodes.length);
});

test('cycles and self-calls are laid out', () => {
  const at = layout({
    nodes: ['a', 'b', 'c'].map((id) => ({ id, group: 'n', kind: 'service' })),
    edges: [
      { source: 'a', target: 'b' },
      { source: 'b', target: 'c' },
      { source: 'c', target: 'a' },
      { source: 'b', target: 'b' },
    ],
    pinned: new Map(),
  });
  expect(new Set([...at.values()].map((p) => p.x)).size).toBe(3);
});
