import type { Point, Rect } from '../base/geometry';
import { layers } from './layout';
import { CELL, REGION_PAD, REGION_TITLE } from './regions';

// Where the members of an open group stand, within its rectangle: in the cells of a grid that depends on the rectangle
// alone, so that a cell is the same today and tomorrow. Callers come left of callees as far as the columns allow: the
// members, ordered by longest path, fill the columns one after the other, and each column is ordered by what its members
// talk to. Who has a cell keeps it; a newcomer takes the free one nearest to its neighbours.

interface Grid {
  cols: number;
  rows: number;
  at: (cell: number) => Point;
}

/** Cells are numbered down the columns, from the left. Where members are too many for cells of full size, cells shrink. */
function gridOf(r: Rect, members: number): Grid {
  const w = r.w - 2 * REGION_PAD;
  const h = r.h - 2 * REGION_PAD - REGION_TITLE;
  let shrink = 1;
  const cells = (): [number, number] => [
    Math.max(1, Math.floor((w + 1) / (CELL.w * shrink))),
    Math.max(1, Math.floor((h + 1) / (CELL.h * shrink))),
  ];
  while (cells()[0] * cells()[1] < members && shrink > 0.1) shrink *= 0.8;
  const [cols, rows] = cells();
  return {
    cols,
    rows,
    at: (cell) => ({
      x: Math.round(r.x + REGION_PAD + ((Math.floor(cell / rows) + 0.5) * w) / cols),
      y: Math.round(r.y + REGION_PAD + REGION_TITLE + (((cell % rows) + 0.5) * h) / rows),
    }),
  };
}

export function placeMembers(
  rect: Rect,
  ids: readonly string[],
  edges: readonly { source: string; target: string }[],
  pinned: ReadonlyMap<string, Point>,
): Map<string, Point> {
  const grid = gridOf(rect, ids.length);
  const sorted = [...ids].sort();
  const index = new Map(sorted.map((id, i) => [id, i]));
  const out: number[][] = sorted.map(() => []);
  const into: number[][] = sorted.map(() => []);
  for (const e of edges) {
    const s = index.get(e.source);
    const t = index.get(e.target);
    if (s === undefined || t === undefined || s === t) continue;
    out[s]!.push(t);
    into[t]!.push(s);
  }
  const cells = new Map<string, number>();
  for (let cell = 0; cell < grid.cols * grid.rows; cell++) {
    const p = grid.at(cell);
    cells.set(`${p.x},${p.y}`, cell);
  }
  const placed = new Map<string, Point>();
  const taken = new Set<number>();
  for (const id of sorted) {
    const p = pinned.get(id);
    const cell = p === undefined ? undefined : cells.get(`${p.x},${p.y}`);
    if (p === undefined || cell === undefined || taken.has(cell)) continue;
    taken.add(cell);
    placed.set(id, p);
  }
  if (placed.size === 0) return fill(grid, sorted, out, into);
  sorted.forEach((id, i) => {
    if (placed.has(id)) return;
    const near = [...out[i]!, ...into[i]!].flatMap((j): Point[] => {
      const p = placed.get(sorted[j]!);
      return p === undefined ? [] : [p];
    });
    const wish =
      near.length === 0
        ? grid.at(0)
        : { x: near.reduce((s, p) => s + p.x, 0) / near.length, y: near.reduce((s, p) => s + p.y, 0) / near.length };
    let best = -1;
    let least = Infinity;
    for (let cell = 0; cell < grid.cols * grid.rows; cell++) {
      if (taken.has(cell)) continue;
      const p = grid.at(cell);
      const price = Math.hypot(p.x - wish.x, p.y - wish.y);
      if (price < least) {
        least = price;
        best = cell;
      }
    }
    taken.add(best);
    placed.set(id, grid.at(Math.max(0, best)));
  });
  return placed;
}

function fill(grid: Grid, ids: readonly string[], out: number[][], into: number[][]): Map<string, Point> {
  const layer = layers(out, into);
  const order = ids.map((_, i) => i).sort((a, b) => layer[a]! - layer[b]! || a - b);
  const perColumn = Math.min(grid.rows, Math.ceil(ids.length / grid.cols));
  const columns: number[][] = [];
  for (let k = 0; k < order.length; k += perColumn) columns.push(order.slice(k, k + perColumn));
  const row = new Array<number>(ids.length).fill(0);
  const number = (c: number[]): void => c.forEach((i, k) => (row[i] = k));
  columns.forEach(number);
  for (let sweep = 0; sweep < 6; sweep++) {
    const around = sweep % 2 === 0 ? into : out;
    for (const c of sweep % 2 === 0 ? columns : [...columns].reverse()) {
      const wish = new Map(
        c.map((i) => {
          const near = around[i]!;
          return [i, near.length === 0 ? row[i]! : near.reduce((s, j) => s + row[j]!, 0) / near.length];
        }),
      );
      c.sort((a, b) => wish.get(a)! - wish.get(b)! || a - b);
      number(c);
    }
  }
  const placed = new Map<string, Point>();
  const left = Math.floor((grid.cols - columns.length) / 2);
  columns.forEach((c, k) => {
    const top = Math.floor((grid.rows - c.length) / 2);
    c.forEach((i, r) => placed.set(ids[i]!, grid.at((left + k) * grid.rows + top + r)));
  });
  return placed;
}
