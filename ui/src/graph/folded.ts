import type { Curve, Point, Rect } from '../base/geometry';
import type { ArrangedNode, Arrangement, ArrangeRequest } from './layout.worker';
import { placeMembers } from './members';
import { placeRegions } from './regions';

// The arrangement of a graph that is folded into groups: regions, the members of the open ones, and edges that leave a
// folded group from the middle of its side, so that all that goes the same way runs together.

export function arrangeFolded(r: ArrangeRequest): Arrangement {
  const groups = r.nodes.filter((n) => n.kind === 'group');
  const within = new Map(r.nodes.map((n) => [n.id, n.kind === 'group' ? n.id : (n.within ?? '')]));
  const ends = r.edges.map((e) => ({ source: within.get(e.source) ?? '', target: within.get(e.target) ?? '' }));
  const rects = placeRegions(
    groups.map((g) => ({ id: g.id, members: g.members ?? 1 })),
    ends,
    new Map(r.rects),
    r.aspect,
  );
  const pinned = new Map(r.pinned);
  const members = new Map<string, ArrangedNode[]>();
  for (const n of r.nodes) {
    if (n.kind === 'group' || n.within === undefined) continue;
    const l = members.get(n.within);
    if (l === undefined) members.set(n.within, [n]);
    else l.push(n);
  }
  const inner = new Map<string, { source: string; target: string }[]>();
  r.edges.forEach((e, i) => {
    const at = ends[i]!;
    if (at.source !== at.target) return;
    const l = inner.get(at.source);
    if (l === undefined) inner.set(at.source, [e]);
    else l.push(e);
  });
  const places = new Map<string, Point>();
  for (const [id, rect] of rects) places.set(id, { x: rect.x + rect.w / 2, y: rect.y + rect.h / 2 });
  for (const [group, list] of members) {
    const rect = rects.get(group);
    if (rect === undefined) continue;
    const ids = list.map((n) => n.id);
    for (const [id, p] of placeMembers(rect, ids, inner.get(group) ?? [], pinned)) places.set(id, p);
  }
  const curves = r.edges.flatMap((e): [string, Curve][] => {
    const a = boxOf(e.source, rects, places);
    const b = boxOf(e.target, rects, places);
    return a === undefined || b === undefined ? [] : [[e.id, between(a, b)]];
  });
  return { places: [...places], curves, areas: [], rects: [...rects] };
}

/** A group's rectangle; a node is one without extent. */
function boxOf(id: string, rects: ReadonlyMap<string, Rect>, places: ReadonlyMap<string, Point>): Rect | undefined {
  const rect = rects.get(id);
  const p = places.get(id);
  return rect ?? (p === undefined ? undefined : { x: p.x, y: p.y, w: 0, h: 0 });
}

function between(a: Rect, b: Rect): Curve {
  const ay = a.y + a.h / 2;
  const by = b.y + b.h / 2;
  if (b.x > a.x + a.w) {
    const reach = (b.x - a.x - a.w) * 0.5;
    return [a.x + a.w, ay, a.x + a.w + reach, ay, b.x - reach, by, b.x, by];
  }
  // Backwards: from the left side into the right one, a little lower, so that both ways between two stay apart.
  if (b.x + b.w < a.x) {
    const reach = (a.x - b.x - b.w) * 0.5;
    const low = 0.1;
    return [
      a.x,
      ay + a.h * low,
      a.x - reach,
      ay + a.h * low,
      b.x + b.w + reach,
      by + b.h * low,
      b.x + b.w,
      by + b.h * low,
    ];
  }
  // One above the other: out on the right and back in there.
  const out = Math.max(a.x + a.w, b.x + b.w) + Math.min(150, 40 + Math.abs(by - ay) * 0.2);
  return [a.x + a.w, ay, out, ay, out, by, b.x + b.w, by];
}
