import { segmentDistance, type Point } from '../base/geometry';

// The area of the map that a namespace takes: the distance to its nodes, and to the shortest tree that links them, at each
// point of a coarse grid. The renderer draws lines of equal distance: an outline, and two fainter ones outside. There is one
// grid a namespace, computed when the shape of the graph changes; panning and zooming cost nothing.

export interface Area {
  group: string;
  /** Centre of the first cell, left at the top, and the step between cells, in world units. */
  x: number;
  y: number;
  step: number;
  cols: number;
  rows: number;
  /** Distance at each cell's centre, row by row. */
  field: Float32Array;
  /** Where the name stands. */
  label: Point;
}

/** How far an area's outline lies from its nodes, in world units; the fainter lines lie further out. */
export const AREA_MARGIN = 58;
const REACH = 150;
const MAX_CELLS = 24_000;

export function areaAround(group: string, points: readonly Point[], all: readonly Point[]): Area {
  const xs = points.map((p) => p.x);
  const ys = points.map((p) => p.y);
  const x = Math.min(...xs) - REACH;
  const y = Math.min(...ys) - REACH;
  const w = Math.max(...xs) + REACH - x;
  const h = Math.max(...ys) + REACH - y;
  const step = Math.max(12, Math.sqrt((w * h) / MAX_CELLS));
  const cols = Math.ceil(w / step) + 1;
  const rows = Math.ceil(h / step) + 1;
  const links = spanningTree(points);
  const field = new Float32Array(cols * rows);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const p = { x: x + c * step, y: y + r * step };
      // A smooth minimum of the distances: the outline is rounded where the surroundings of two nodes meet.
      let sum = 0;
      for (const pt of points) sum += Math.exp(-Math.hypot(p.x - pt.x, (p.y - pt.y - 10) * 0.92) / 24);
      for (const [a, b] of links) sum += 0.4 * Math.exp(-segmentDistance(p, a, b) / 24);
      field[r * cols + c] = Math.min(400, -24 * Math.log(sum + 1e-9));
    }
  }
  return { group, x, y, step, cols, rows, field, label: nameAt(points, all) };
}

/** The name stands on the outline above a node, the highest where no other node's words are in the way. */
function nameAt(points: readonly Point[], all: readonly Point[]): Point {
  let best: Point = { x: 0, y: 0 };
  let least = Infinity;
  for (const p of points) {
    const at = { x: p.x, y: p.y - AREA_MARGIN - 9 };
    const crowd = all.filter(
      (q) => q !== p && Math.abs(q.x - at.x) < 130 && at.y - q.y > -30 && at.y - q.y < 70,
    ).length;
    const price = p.y + p.x * 0.3 + crowd * 1000;
    if (price < least) {
      least = price;
      best = at;
    }
  }
  return best;
}

/** Prim's algorithm; up to a few hundred nodes a namespace this is far from mattering. */
function spanningTree(points: readonly Point[]): [Point, Point][] {
  const links: [Point, Point][] = [];
  const rest = points
    .slice(1)
    .map((p) => ({ p, near: points[0]!, d: Math.hypot(p.x - points[0]!.x, p.y - points[0]!.y) }));
  while (rest.length > 0) {
    let k = 0;
    for (let i = 1; i < rest.length; i++) if (rest[i]!.d < rest[k]!.d) k = i;
    const [next] = rest.splice(k, 1);
    links.push([next!.near, next!.p]);
    for (const r of rest) {
      const d = Math.hypot(r.p.x - next!.p.x, r.p.y - next!.p.y);
      if (d < r.d) {
        r.d = d;
        r.near = next!.p;
      }
    }
  }
  return links;
}
