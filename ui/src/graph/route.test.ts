import { expect, test } from 'vitest';
import { curveDistance, type Point } from '../base/geometry';
import { graphAt } from '../../test/fixture/mesh';
import { arrange } from './layout.worker';
import { Neighbours, route } from './route';

test('a curve bows around who stands between, and runs straight where nobody does', () => {
  const a = { x: 0, y: 0 };
  const b = { x: 800, y: 0 };
  const between = { x: 400, y: 0 };
  expect(curveDistance(route(a, b, new Neighbours([a, b, between]), 0), between)).toBeGreaterThan(36);
  expect(curveDistance(route(a, b, new Neighbours([a, b]), 0), between)).toBeLessThan(1);
});

test('on the shop, no edge runs through a node that is not its own', () => {
  const g = graphAt(0, 'calm', 1);
  const c = arrange({
    nodes: g.nodes.map((n) => ({ id: n.id, group: n.namespace, kind: n.kind })),
    edges: g.edges.map((e) => ({ id: e.id, source: e.source, target: e.target })),
    pinned: [],
    rects: [],
    aspect: 1.6,
  });
  const places = new Map<string, Point>(c.places);
  const through: string[] = [];
  for (const [id, curve] of c.curves) {
    const e = g.edges.find((x) => x.id === id)!;
    for (const [node, p] of places)
      if (node !== e.source && node !== e.target && curveDistance(curve, p) < 16) through.push(`${id} through ${node}`);
  }
  expect(through).toEqual([]);
  expect(c.areas.map((h) => h.group).sort()).toEqual(['back', 'edge', 'shop']);
});
