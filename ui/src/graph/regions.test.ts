import { expect, test } from 'vitest';
import { bigMesh } from '../../test/fixture/bigmesh';
import { fold } from '../../test/fixture/fold';
import type { Rect } from '../base/geometry';
import { arrange, type Arrangement, type ArrangeRequest } from './layout.worker';
import { extent, placeRegions } from './regions';

function request(services: number, open: string[] = [], before?: Arrangement): ArrangeRequest {
  const g = fold(bigMesh(services, 0, 1), { fold: true, open, show: undefined });
  return {
    nodes: g.nodes.map((n) => ({
      id: n.id,
      group: n.namespace,
      kind: n.kind,
      within: n.within,
      members: n.group?.members,
    })),
    edges: g.edges,
    pinned: before?.places ?? [],
    rects: before?.rects ?? [],
    aspect: 1.7,
  };
}

const apart = (a: Rect, b: Rect): boolean =>
  a.x >= b.x + b.w || b.x >= a.x + a.w || a.y >= b.y + b.h || b.y >= a.y + a.h;

test.each([1000, 10_000])('regions of %d services do not overlap and fill the screen', (services) => {
  const a = arrange(request(services));
  for (const [i, [id, r]] of a.rects.entries())
    for (const [other, q] of a.rects.slice(i + 1)) expect(apart(r, q), `${id} ${other}`).toBe(true);
  const all = extent(a.rects.map(([, r]) => r));
  expect(all.w / all.h).toBeGreaterThan(1.1);
  expect(all.w / all.h).toBeLessThan(2.8);
});

test('unfolding moves nobody, and members stand within, each in a cell of its own', () => {
  const folded = arrange(request(5000));
  const open = arrange(request(5000, ['group:cart', 'group:video'], folded));
  expect(open.rects).toEqual(folded.rects);
  const rect = new Map(open.rects).get('group:cart')!;
  const members = open.places.filter(([id]) => id.startsWith('cart/'));
  expect(members).toHaveLength(125);
  for (const [id, p] of members) {
    expect(p.x > rect.x && p.x < rect.x + rect.w && p.y > rect.y && p.y < rect.y + rect.h, id).toBe(true);
  }
  expect(new Set(members.map(([, p]) => `${p.x},${p.y}`)).size).toBe(members.length);
  const again = arrange(request(5000, ['group:cart'], open));
  for (const [id, p] of members) expect(new Map(again.places).get(id), id).toEqual(p);
});

test('a newcomer takes free room near what it talks to, and moves nobody', () => {
  const before = placeRegions(
    ['a', 'b', 'c'].map((id) => ({ id, members: 20 })),
    [
      { source: 'a', target: 'b' },
      { source: 'b', target: 'c' },
    ],
    new Map(),
    1.6,
  );
  const after = placeRegions(
    ['a', 'b', 'c', 'd'].map((id) => ({ id, members: 20 })),
    [{ source: 'd', target: 'c' }],
    before,
    1.6,
  );
  for (const [id, r] of before) expect(after.get(id)).toEqual(r);
  const d = after.get('d')!;
  for (const r of before.values()) expect(apart(d, r)).toBe(true);
  const away = (id: string): number => Math.hypot(before.get(id)!.x - d.x, before.get(id)!.y - d.y);
  expect(away('c')).toBeLessThan(away('a'));
});
