import { curveDistance, type Curve, type Point, type Rect } from '../base/geometry';
import type { GraphNode } from '../api/types';
import { nodeRadius } from './ink';
import { REGION_TITLE } from './regions';

// What is where on the map: under the pointer, in a direction, in all. Pure functions of the places.

/** What a point of the map shows: a node, or an edge, or neither. */
export interface Hit {
  node?: string;
  edge?: string;
}

export interface Placed {
  readonly places: ReadonlyMap<string, Point>;
  readonly curves: ReadonlyMap<string, Curve>;
  readonly rects: ReadonlyMap<string, Rect>;
}

/** What stands at a point of the world; nodes come before edges. */
export function hitAt(
  at: Point,
  zoom: number,
  placed: Placed,
  nodes: ReadonlyMap<string, GraphNode>,
  window: string,
): Hit {
  const scale = Math.min(1.5, Math.max(0.3, zoom)) / zoom;
  let node: string | undefined;
  let nearest = Infinity;
  for (const [id, p] of placed.places) {
    const n = nodes.get(id);
    if (n === undefined || n.group !== undefined) continue;
    const d = Math.hypot(p.x - at.x, p.y - at.y);
    if (d < (nodeRadius(n, window) + 7) * scale && d < nearest) {
      nearest = d;
      node = id;
    }
  }
  if (node !== undefined) return { node };
  // Of an open group only the title is the group: between its members there is nothing.
  for (const [id, r] of placed.rects) {
    const g = nodes.get(id)?.group;
    if (g === undefined || at.x < r.x || at.x > r.x + r.w || at.y < r.y) continue;
    if (at.y < r.y + (g.open ? REGION_TITLE : r.h)) return { node: id };
  }
  let edge: string | undefined;
  let close = 8 / zoom;
  for (const [id, c] of placed.curves) {
    if (!near(c, at, close + 60)) continue;
    const d = curveDistance(c, at);
    if (d < close) {
      close = d;
      edge = id;
    }
  }
  return edge === undefined ? {} : { edge };
}

/** Whether a point may lie that near to a curve: a cheap test before the exact one. */
function near(c: Curve, at: Point, reach: number): boolean {
  return (
    at.x >= Math.min(c[0], c[6], c[4]) - reach &&
    at.x <= Math.max(c[0], c[6], c[2]) + reach &&
    at.y >= Math.min(c[1], c[3], c[7]) - reach &&
    at.y <= Math.max(c[1], c[3], c[7]) + reach
  );
}

/** The nearest node in a direction, for the arrow keys; without a node to start from, the one nearest to `middle`. */
export function nodeTowards(
  places: ReadonlyMap<string, Point>,
  from: string | undefined,
  middle: Point,
  dx: number,
  dy: number,
): string | undefined {
  const start = from === undefined ? undefined : places.get(from);
  const origin = start ?? middle;
  let best: string | undefined;
  let bestCost = Infinity;
  for (const [id, p] of places) {
    if (id === from) continue;
    const x = p.x - origin.x;
    const y = p.y - origin.y;
    const along = start === undefined ? Math.hypot(x, y) : x * dx + y * dy;
    const aside = start === undefined ? 0 : Math.abs(x * dy - y * dx);
    if (along <= 1 || aside > along * 1.6) continue;
    if (along + aside * 2 < bestCost) {
      bestCost = along + aside * 2;
      best = id;
    }
  }
  return best;
}

/** The room of a node with its words, around its place. */
const ROOM = { x: 70, y: 84 } as const;

/** Whether a node with its words, or a group, is in a rectangle or reaches into it. */
export function standsIn(placed: Pick<Placed, 'places' | 'rects'>, r: Rect): boolean {
  for (const [id, p] of placed.places) {
    const own = placed.rects.get(id) ?? { x: p.x - ROOM.x, y: p.y - ROOM.y / 2, w: 2 * ROOM.x, h: 1.5 * ROOM.y };
    if (own.x < r.x + r.w && r.x < own.x + own.w && own.y < r.y + r.h && r.y < own.y + own.h) return true;
  }
  return false;
}

/** The rectangle that holds all nodes, or some, with their words. */
export function boundsOf(
  places: ReadonlyMap<string, Point>,
  rects: ReadonlyMap<string, Rect>,
  ids?: Iterable<string>,
): Rect | undefined {
  let x0 = Infinity;
  let y0 = Infinity;
  let x1 = -Infinity;
  let y1 = -Infinity;
  for (const id of ids ?? places.keys()) {
    const p = places.get(id);
    if (p === undefined) continue;
    const r = rects.get(id) ?? { x: p.x - ROOM.x, y: p.y - ROOM.y, w: 2 * ROOM.x, h: 2 * ROOM.y };
    x0 = Math.min(x0, r.x);
    y0 = Math.min(y0, r.y);
    x1 = Math.max(x1, r.x + r.w);
    y1 = Math.max(y1, r.y + r.h);
  }
  return x0 > x1 ? undefined : { x: x0, y: y0, w: x1 - x0, h: y1 - y0 };
}
