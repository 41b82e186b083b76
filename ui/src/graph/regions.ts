import type { Point, Rect } from '../base/geometry';
import { layers } from './layout';

// Where groups stand when a graph is too large to show each node: each has a rectangle.
//
// Problem: a map of thousands is read by zooming, and what is folded from afar must unfold in its place, or nobody finds it
// again. So a group takes from the start the room that its members need, and nothing else moves when it unfolds.
//
// Algorithm: groups are ordered by longest path, callers first, as nodes are (layout.ts), and in that order cut into columns
// of even height, so that a broad layer takes several columns and many narrow ones share one; the height is the one with
// which the whole fills the screen's shape best; each column is ordered by the mean height of what its groups talk to, swept
// both ways.
//
// Invariants: no two rectangles overlap. A function of (groups, edges, pinned, aspect) alone. A pinned rectangle comes back
// where it was; it grows only where there is room. A newcomer goes to the free place nearest to what it talks to.
//
// Not chosen: hulls around nodes wherever these stand, which cross as soon as there are many.

export interface Region {
  id: string;
  /** How many nodes it must have room for. */
  members: number;
}

export interface RegionEdge {
  source: string;
  target: string;
}

/** The room of one member, in world units, and what a region adds to the sum: a margin, and the title above. */
export const CELL = { w: 216, h: 96 } as const;
export const REGION_PAD = 44;
export const REGION_TITLE = 84;
const GAP = { y: 130 } as const;
/** Room for newcomers, so that a region seldom has to grow. */
const SPARE = 1.2;

/** Between two columns run the edges: the broader the columns, the more there are. */
function gapBeside(w: number): number {
  return 300 + 0.25 * w;
}

export function sizeFor(members: number): { w: number; h: number } {
  const n = Math.max(4, Math.ceil(members * SPARE));
  const rows = Math.max(2, Math.ceil(Math.sqrt((n * CELL.w) / CELL.h / 1.5)));
  const cols = Math.max(2, Math.ceil(n / rows));
  return { w: cols * CELL.w + 2 * REGION_PAD, h: rows * CELL.h + 2 * REGION_PAD + REGION_TITLE };
}

export function placeRegions(
  regions: readonly Region[],
  edges: readonly RegionEdge[],
  pinned: ReadonlyMap<string, Rect>,
  aspect: number,
): Map<string, Rect> {
  const sorted = [...regions].sort((a, b) => (a.id < b.id ? -1 : 1));
  const kept = sorted.filter((r) => pinned.has(r.id));
  if (kept.length === 0) return fresh(sorted, edges, aspect);
  const placed = new Map(kept.map((r) => [r.id, pinned.get(r.id)!]));
  for (const r of kept) placed.set(r.id, grown(r, placed));
  for (const r of sorted) if (!placed.has(r.id)) placed.set(r.id, settle(r, edges, placed));
  return placed;
}

function fresh(regions: readonly Region[], edges: readonly RegionEdge[], aspect: number): Map<string, Rect> {
  const index = new Map(regions.map((r, i) => [r.id, i]));
  const out: number[][] = regions.map(() => []);
  const into: number[][] = regions.map(() => []);
  const known = new Set<number>();
  for (const e of edges) {
    const s = index.get(e.source);
    const t = index.get(e.target);
    if (s === undefined || t === undefined || s === t || known.has(s * regions.length + t)) continue;
    known.add(s * regions.length + t);
    out[s]!.push(t);
    into[t]!.push(s);
  }
  for (const l of [...out, ...into]) l.sort((a, b) => a - b);
  const layer = layers(out, into);
  const order = regions.map((_, i) => i).sort((a, b) => layer[a]! - layer[b]! || a - b);
  const size = regions.map((r) => sizeFor(r.members));
  let best: number[][] = [];
  let least = Infinity;
  const tallest = Math.max(...size.map((s) => s.h), 1);
  const all = size.reduce((s, x) => s + x.h + GAP.y, 0);
  for (let full = tallest; full < all * 1.1; full *= 1.06) {
    const columns = cut(order, size, full);
    const b = extent(stand(columns, size));
    // The side that the screen's shape makes the longer one decides how small all must be drawn.
    const price = Math.max(b.w / aspect, b.h);
    if (price < least) {
      least = price;
      best = columns;
    }
  }
  const rects = sweep(best, size, out, into);
  return new Map(regions.map((r, i) => [r.id, rects[i]!]));
}

/** Cuts the layers, one after the other, into columns of even height, none much higher than `full`. */
function cut(order: readonly number[], size: readonly { w: number; h: number }[], full: number): number[][] {
  const total = order.reduce((s, i) => s + size[i]!.h + GAP.y, 0);
  const share = total / Math.max(1, Math.ceil(total / (full + GAP.y)));
  const columns: number[][] = [[]];
  let used = 0;
  for (const i of order) {
    const h = size[i]!.h + GAP.y;
    if (used > 0 && used + h / 2 > share * columns.length) columns.push([]);
    columns[columns.length - 1]!.push(i);
    used += h;
  }
  return columns.filter((c) => c.length > 0);
}

/** Puts the columns side by side, each about the same middle. */
function stand(columns: readonly number[][], size: readonly { w: number; h: number }[]): Rect[] {
  const rects: Rect[] = [];
  let x = 0;
  for (const column of columns) {
    const w = Math.max(...column.map((i) => size[i]!.w));
    let y = -column.reduce((s, i) => s + size[i]!.h + GAP.y, -GAP.y) / 2;
    for (const i of column) {
      rects[i] = { x: x + (w - size[i]!.w) / 2, y, w: size[i]!.w, h: size[i]!.h };
      y += size[i]!.h + GAP.y;
    }
    x += w + gapBeside(w);
  }
  return rects;
}

function sweep(
  columns: readonly number[][],
  size: readonly { w: number; h: number }[],
  out: readonly number[][],
  into: readonly number[][],
): Rect[] {
  let rects = stand(columns, size);
  for (let n = 0; n < 6; n++) {
    const middle = (i: number): number => rects[i]!.y + rects[i]!.h / 2;
    const around = n % 2 === 0 ? into : out;
    for (const column of columns) {
      const wish = new Map(
        column.map((i) => {
          const near = around[i]!;
          return [i, near.length === 0 ? middle(i) : near.reduce((s, j) => s + middle(j), 0) / near.length];
        }),
      );
      column.sort((a, b) => wish.get(a)! - wish.get(b)! || a - b);
    }
    rects = stand(columns, size);
  }
  return rects;
}

function grown(r: Region, placed: ReadonlyMap<string, Rect>): Rect {
  const at = placed.get(r.id)!;
  const need = sizeFor(r.members / SPARE);
  if (need.w <= at.w && need.h <= at.h) return at;
  const larger = { ...at, w: Math.max(at.w, need.w), h: Math.max(at.h, need.h) };
  return free(larger, placed, r.id) ? larger : at;
}

/** The free place nearest to what a newcomer talks to: beside, above or below those that stand. */
function settle(r: Region, edges: readonly RegionEdge[], placed: ReadonlyMap<string, Rect>): Rect {
  const size = sizeFor(r.members);
  const near = edges.flatMap((e) => (e.source === r.id ? [e.target] : e.target === r.id ? [e.source] : []));
  const around = near.flatMap((id): Rect[] => {
    const p = placed.get(id);
    return p === undefined ? [] : [p];
  });
  const all = extent([...placed.values()]);
  const wish: Point =
    around.length === 0
      ? { x: all.x + all.w / 2, y: all.y + all.h }
      : {
          x: around.reduce((s, p) => s + p.x + p.w / 2, 0) / around.length,
          y: around.reduce((s, p) => s + p.y + p.h / 2, 0) / around.length,
        };
  let best: Rect = { x: all.x, y: all.y + all.h + GAP.y, ...size };
  let least = Infinity;
  for (const p of placed.values()) {
    for (const [x, y] of [
      [p.x + p.w + gapBeside(p.w), p.y],
      [p.x - size.w - gapBeside(size.w), p.y],
      [p.x + (p.w - size.w) / 2, p.y + p.h + GAP.y],
      [p.x + (p.w - size.w) / 2, p.y - size.h - GAP.y],
    ] as const) {
      const at = { x, y, ...size };
      const price = Math.hypot(x + size.w / 2 - wish.x, y + size.h / 2 - wish.y);
      if (price < least && free(at, placed, r.id)) {
        least = price;
        best = at;
      }
    }
  }
  return best;
}

function free(at: Rect, placed: ReadonlyMap<string, Rect>, but: string): boolean {
  for (const [id, p] of placed) {
    if (id === but) continue;
    const apart =
      at.x >= p.x + p.w + GAP.y ||
      p.x >= at.x + at.w + GAP.y ||
      at.y >= p.y + p.h + GAP.y ||
      p.y >= at.y + at.h + GAP.y;
    if (!apart) return false;
  }
  return true;
}

export function extent(rects: readonly Rect[]): Rect {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const r of rects) {
    x0 = Math.min(x0, r.x);
    y0 = Math.min(y0, r.y);
    x1 = Math.max(x1, r.x + r.w);
    y1 = Math.max(y1, r.y + r.h);
  }
  return { x: x0, y: y0, w: x1 - x0, h: y1 - y0 };
}
