import type { Point } from '../base/geometry';

// Where each node stands.
//
// Problem: a map is learnt by place. A node must never move because data changed, must stand where it stood after a
// reload, and yet a newcomer should stand where a fresh drawing would have put it.
//
// Algorithm, in two parts:
// 1. fresh(): callers left of callees by longest path (cycles cut in a fixed order); namespaces are blocks stacked
//    without overlap; within a block each column is ordered by the mean of its neighbours, swept both ways; the order
//    of the blocks is improved by swaps while the total height of the edges shrinks.
// 2. place(): whoever has a place keeps it. A newcomer takes its place of the fresh drawing, shifted by how far its
//    neighbourhood stands from there, and from that the nearest slot that is free, not left of its caller, and not in
//    another namespace's area.
//
// Invariants: the result is a function of (graph, pinned) alone, with no clock and no chance: every tie is broken by
// id. Pinned nodes come back unchanged.
//
// Not chosen: force layouts (never at rest, a different map each time) and ELK (1.5 MB, does not hold pinned nodes
// still in layered mode).

export const COLUMN = 256;
export const ROW = 102;

export interface LayoutNode {
  id: string;
  /** Namespace, or empty. */
  group: string;
  kind: string;
}

export interface LayoutEdge {
  source: string;
  target: string;
}

export interface LayoutInput {
  nodes: LayoutNode[];
  edges: LayoutEdge[];
  pinned: ReadonlyMap<string, Point>;
}

interface Work {
  ids: string[];
  out: number[][];
  in: number[][];
  layer: number[];
  block: number[];
  blocks: number[][];
  y: number[];
}

export function layout(input: LayoutInput): Map<string, Point> {
  const ideal = fresh(input.nodes, input.edges);
  return input.pinned.size === 0 ? ideal : place(input, ideal);
}

function prepare(nodes: LayoutNode[], edges: LayoutEdge[]): Work {
  const sorted = [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1));
  const ids = sorted.map((n) => n.id);
  const index = new Map(ids.map((id, i) => [id, i]));
  const out: number[][] = ids.map(() => []);
  const into: number[][] = ids.map(() => []);
  const pairs = new Set<number>();
  for (const e of edges) {
    const s = index.get(e.source);
    const t = index.get(e.target);
    if (s === undefined || t === undefined || s === t || pairs.has(s * ids.length + t)) continue;
    pairs.add(s * ids.length + t);
    out[s]!.push(t);
    into[t]!.push(s);
  }
  for (const l of [...out, ...into]) l.sort((a, b) => a - b);
  const layer = layers(out, into);
  const names = groupNames(sorted, out, into);
  const blockNames = [...new Set(names)].sort();
  const block = names.map((g) => blockNames.indexOf(g));
  const blocks: number[][] = blockNames.map(() => []);
  block.forEach((b, i) => blocks[b]!.push(i));
  return { ids, out, in: into, layer, block, blocks, y: ids.map(() => 0) };
}

/** Longest path from the sources; links that close a cycle, met in a fixed order, do not count. */
export function layers(out: number[][], into: number[][]): number[] {
  const n = out.length;
  const state = new Uint8Array(n);
  const forward: number[][] = out.map(() => []);
  const order: number[] = [];
  const starts = Array.from({ length: n }, (_, i) => i).sort(
    (a, b) =>
      Number(into[a]!.length > 0) - Number(into[b]!.length > 0) ||
      into[a]!.length - out[a]!.length - (into[b]!.length - out[b]!.length) ||
      a - b,
  );
  for (const start of starts) {
    if (state[start] !== 0) continue;
    const stack: [number, number][] = [[start, 0]];
    state[start] = 1;
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const next = out[top[0]]![top[1]++];
      if (next === undefined) {
        state[top[0]] = 2;
        order.push(top[0]);
        stack.pop();
      } else if (state[next] !== 1) {
        forward[top[0]]!.push(next);
        if (state[next] === 0) {
          state[next] = 1;
          stack.push([next, 0]);
        }
      }
    }
  }
  const layer = new Array<number>(n).fill(0);
  for (let k = n - 1; k >= 0; k--) {
    const at = order[k]!;
    for (const t of forward[at]!) layer[t] = Math.max(layer[t]!, layer[at]! + 1);
  }
  // A source stands directly before the first that it calls, not at the far left of the map.
  for (let i = 0; i < n; i++) {
    if (into[i]!.length === 0 && forward[i]!.length > 0) layer[i] = Math.min(...forward[i]!.map((t) => layer[t]!)) - 1;
  }
  return layer;
}

/** In which namespace's area each node lies; nodes in none are absent. */
export function areaOf(nodes: LayoutNode[], edges: LayoutEdge[]): Map<string, string> {
  const index = new Map(nodes.map((n, i) => [n.id, i]));
  const out: number[][] = nodes.map(() => []);
  const into: number[][] = nodes.map(() => []);
  for (const e of edges) {
    const s = index.get(e.source);
    const t = index.get(e.target);
    if (s === undefined || t === undefined) continue;
    out[s]!.push(t);
    into[t]!.push(s);
  }
  const names = groupNames(nodes, out, into);
  return new Map(nodes.flatMap((n, i): [string, string][] => (names[i]!.startsWith('~') ? [] : [[n.id, names[i]!]])));
}

/** A service's block is its namespace. A virtual node used from one namespace only is moored there; else it lies alone. */
function groupNames(nodes: LayoutNode[], out: number[][], into: number[][]): string[] {
  return nodes.map((n, i) => {
    if (n.kind === 'service') return n.group === '' ? '~' : n.group;
    if (n.kind !== 'database' && n.kind !== 'queue') return `~${n.id}`;
    const around = new Set([...out[i]!, ...into[i]!].map((j) => nodes[j]!.group));
    const [only] = around;
    return around.size === 1 && only !== undefined && only !== '' ? only : `~${n.id}`;
  });
}

function fresh(nodes: LayoutNode[], edges: LayoutEdge[]): Map<string, Point> {
  const w = prepare(nodes, edges);
  if (w.ids.length === 0) return new Map();
  let order = w.blocks.map((_, b) => b).sort((a, b) => blockLeft(w, a) - blockLeft(w, b) || a - b);
  let best = arrange(w, order);
  let bestY = [...w.y];
  const trials = w.ids.length <= 300 ? 6 : 1;
  for (let trial = 0; trial < trials; trial++) {
    const before = best;
    for (let i = 0; i < order.length; i++) {
      for (let j = i + 1; j < order.length; j++) {
        if (trials === 1 && j > i + 1) break;
        const swapped = [...order];
        [swapped[i], swapped[j]] = [swapped[j]!, swapped[i]!];
        const cost = arrange(w, swapped);
        if (cost < best - 1e-6) {
          best = cost;
          bestY = [...w.y];
          order = swapped;
        }
      }
    }
    if (best === before) break;
  }
  const mid = (Math.min(...bestY) + Math.max(...bestY)) / 2;
  return new Map(w.ids.map((id, i) => [id, { x: w.layer[i]! * COLUMN, y: Math.round(bestY[i]! - mid) }]));
}

function blockLeft(w: Work, b: number): number {
  return w.blocks[b]!.reduce((m, i) => Math.min(m, w.layer[i]!), Infinity);
}

/** Stacks the blocks in the given order, settles the nodes within, and answers the cost: how far edges climb, and cross. */
function arrange(w: Work, order: readonly number[]): number {
  const columns: number[][][] = w.blocks.map((members) => {
    const byLayer = new Map<number, number[]>();
    for (const i of members) {
      const l = byLayer.get(w.layer[i]!);
      if (l === undefined) byLayer.set(w.layer[i]!, [i]);
      else l.push(i);
    }
    return [...byLayer.values()];
  });
  const height = columns.map((cols) => (Math.max(...cols.map((c) => c.length)) - 1) * ROW);
  const top = new Array<number>(w.blocks.length).fill(0);
  stack(w, order, height, top);
  columns.forEach((cols, b) => {
    for (const c of cols)
      spread(
        w,
        c,
        c.map(() => top[b]! + height[b]! / 2),
        top[b]!,
        height[b]!,
      );
  });
  for (let sweep = 0; sweep < 10; sweep++) {
    for (const b of order) {
      const cols = [...columns[b]!].sort((a, z) => (w.layer[a[0]!]! - w.layer[z[0]!]!) * (sweep % 2 === 0 ? 1 : -1));
      for (const c of cols) {
        const wish = c.map((i) =>
          meanY(w, i, sweep < 8 ? (sweep % 2 === 0 ? w.in[i]! : w.out[i]!) : [...w.in[i]!, ...w.out[i]!]),
        );
        spread(w, c, wish, top[b]!, height[b]!);
      }
    }
    // Blocks drift towards what they talk to, as far as their neighbours in the stack let them.
    if (sweep === 3 || sweep === 6) drift(w, order, height, top);
  }
  return cost(w);
}

function meanY(w: Work, i: number, around: readonly number[]): number {
  if (around.length === 0) return w.y[i]!;
  return around.reduce((s, j) => s + w.y[j]!, 0) / around.length;
}

/** Orders a column by wish and gives each node its place, a row apart, within the block. */
function spread(w: Work, column: number[], wish: number[], top: number, height: number): void {
  const order = column.map((i, k) => ({ i, y: wish[k]! })).sort((a, b) => a.y - b.y || a.i - b.i);
  let at = -Infinity;
  for (const o of order) {
    o.y = Math.max(o.y, at + ROW, top);
    at = o.y;
  }
  let limit = top + height;
  for (let k = order.length - 1; k >= 0; k--) {
    const o = order[k]!;
    o.y = Math.min(o.y, limit);
    limit = o.y - ROW;
    w.y[o.i] = o.y;
  }
  order.forEach((o, k) => {
    column[k] = o.i;
  });
}

function span(w: Work, b: number): [number, number] {
  const l = w.blocks[b]!.map((i) => w.layer[i]!);
  return [Math.min(...l), Math.max(...l)];
}

const GAP = ROW * 1.25;

/** Lets each block fall until it rests on those before it in the order which share a column with it. */
function stack(w: Work, order: readonly number[], height: number[], top: number[]): void {
  const spans = w.blocks.map((_, b) => span(w, b));
  order.forEach((b, k) => {
    let y = 0;
    for (let j = 0; j < k; j++) {
      const a = order[j]!;
      if (spans[a]![0] <= spans[b]![1] && spans[b]![0] <= spans[a]![1]) y = Math.max(y, top[a]! + height[a]! + GAP);
    }
    top[b] = y;
  });
}

function drift(w: Work, order: readonly number[], height: number[], top: number[]): void {
  const spans = w.blocks.map((_, b) => span(w, b));
  const move = (b: number, wish: number, lo: number, hi: number): void => {
    const y = Math.max(lo, Math.min(hi, wish));
    const by = y - top[b]!;
    top[b] = y;
    for (const i of w.blocks[b]!) w.y[i] = w.y[i]! + by;
  };
  for (const k of [...order.keys(), ...[...order.keys()].reverse()]) {
    const b = order[k]!;
    let lo = -Infinity;
    let hi = Infinity;
    order.forEach((a, j) => {
      if (a === b || spans[a]![0] > spans[b]![1] || spans[b]![0] > spans[a]![1]) return;
      if (j < k) lo = Math.max(lo, top[a]! + height[a]! + GAP);
      else hi = Math.min(hi, top[a]! - GAP - height[b]!);
    });
    let sum = 0;
    let n = 0;
    for (const i of w.blocks[b]!) {
      for (const j of [...w.in[i]!, ...w.out[i]!]) {
        if (w.block[j] !== b) {
          sum += w.y[j]! - w.y[i]!;
          n++;
        }
      }
    }
    if (n > 0 && lo <= hi) move(b, top[b]! + sum / n, lo, hi);
  }
}

function cost(w: Work): number {
  let total = 0;
  const segments: [number, number, number, number][] = [];
  w.out.forEach((targets, i) => {
    for (const t of targets) {
      const dy = Math.abs(w.y[i]! - w.y[t]!);
      total += dy * (1 + dy / (4 * ROW)) + Math.abs(w.layer[t]! - w.layer[i]! - 1) * ROW * 0.5;
      segments.push([w.layer[i]!, w.y[i]!, w.layer[t]!, w.y[t]!]);
      // A long edge that runs level would run through whoever stands between.
      if (w.layer[t]! - w.layer[i]! > 1 && segments.length <= 500) total += hits(w, i, t) * ROW * 1.5;
    }
  });
  if (segments.length <= 200) total += crossings(segments) * ROW * 0.7;
  return total;
}

function hits(w: Work, i: number, t: number): number {
  let n = 0;
  for (let k = 0; k < w.ids.length; k++) {
    const l = w.layer[k]!;
    if (l <= w.layer[i]! || l >= w.layer[t]!) continue;
    const f = (l - w.layer[i]!) / (w.layer[t]! - w.layer[i]!);
    if (Math.abs(w.y[i]! + f * (w.y[t]! - w.y[i]!) - w.y[k]!) < ROW * 0.45) n++;
  }
  return n;
}

function crossings(segments: readonly (readonly [number, number, number, number])[]): number {
  let n = 0;
  for (let a = 0; a < segments.length; a++) {
    const [ax, ay, bx, by] = segments[a]!;
    for (let b = a + 1; b < segments.length; b++) {
      const [cx, cy, dx, dy] = segments[b]!;
      const lo = Math.max(ax, cx);
      const hi = Math.min(bx, dx);
      if (lo >= hi) continue;
      const y = (x: number, x0: number, y0: number, x1: number, y1: number): number =>
        y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
      if ((y(lo, ax, ay, bx, by) - y(lo, cx, cy, dx, dy)) * (y(hi, ax, ay, bx, by) - y(hi, cx, cy, dx, dy)) < -1) n++;
    }
  }
  return n;
}

function place(input: LayoutInput, ideal: ReadonlyMap<string, Point>): Map<string, Point> {
  const placed = new Map<string, Point>();
  const groupOf = new Map(input.nodes.map((n) => [n.id, n.group]));
  for (const n of input.nodes) {
    const p = input.pinned.get(n.id);
    if (p !== undefined) placed.set(n.id, p);
  }
  const callers = new Map<string, string[]>();
  const around = new Map<string, string[]>();
  const add = (m: Map<string, string[]>, k: string, v: string): void => {
    const l = m.get(k);
    if (l === undefined) m.set(k, [v]);
    else l.push(v);
  };
  for (const e of input.edges) {
    add(callers, e.target, e.source);
    add(around, e.target, e.source);
    add(around, e.source, e.target);
  }
  const newcomers = input.nodes
    .filter((n) => !placed.has(n.id))
    .sort(
      (a, b) =>
        ideal.get(a.id)!.x - ideal.get(b.id)!.x || ideal.get(a.id)!.y - ideal.get(b.id)!.y || (a.id < b.id ? -1 : 1),
    );
  for (const n of newcomers) {
    const wish = wishFor(n.id, ideal, placed, around.get(n.id) ?? []);
    for (const c of callers.get(n.id) ?? []) {
      const p = placed.get(c);
      // Only where the fresh drawing has the caller left as well: a link that closes a cycle points backwards.
      if (p !== undefined && ideal.get(c)!.x < ideal.get(n.id)!.x) wish.x = Math.max(wish.x, p.x + COLUMN);
    }
    placed.set(n.id, freeSlot(wish, n.group, placed, groupOf));
  }
  return placed;
}

/** The place of the fresh drawing, moved as its surroundings have moved: neighbours count most, then who is near. */
function wishFor(
  id: string,
  ideal: ReadonlyMap<string, Point>,
  placed: ReadonlyMap<string, Point>,
  neighbours: readonly string[],
): Point {
  const at = ideal.get(id)!;
  const near = new Set(neighbours);
  let sx = 0;
  let sy = 0;
  let sum = 0;
  for (const [other, p] of placed) {
    const q = ideal.get(other);
    if (q === undefined) continue;
    const weight = (near.has(other) ? 6 : 1) / (1 + ((q.x - at.x) ** 2 + (q.y - at.y) ** 2) / (COLUMN * COLUMN));
    sx += (p.x - q.x) * weight;
    sy += (p.y - q.y) * weight;
    sum += weight;
  }
  return sum === 0 ? { ...at } : { x: at.x + sx / sum, y: at.y + sy / sum };
}

function freeSlot(
  wish: Point,
  group: string,
  placed: ReadonlyMap<string, Point>,
  groupOf: ReadonlyMap<string, string>,
): Point {
  let best = wish;
  let bestCost = Infinity;
  for (let ring = 0; ring <= 60 && bestCost === Infinity; ring += 6) {
    for (let r = -ring - 6; r <= ring + 6; r++) {
      for (let c = 0; c <= 2 + ring / 6; c++) {
        const p = { x: Math.round(wish.x + c * (COLUMN / 2)), y: Math.round(wish.y + r * (ROW / 2)) };
        const price = Math.abs(r) * (ROW / 2) + c * COLUMN * 0.6 + crowding(p, group, placed, groupOf);
        if (price < bestCost) {
          bestCost = price;
          best = p;
        }
      }
    }
  }
  return best;
}

function crowding(
  p: Point,
  group: string,
  placed: ReadonlyMap<string, Point>,
  groupOf: ReadonlyMap<string, string>,
): number {
  let price = 0;
  for (const [id, q] of placed) {
    const dx = Math.abs(p.x - q.x) / COLUMN;
    const dy = Math.abs(p.y - q.y) / ROW;
    if (dx < 0.6 && dy < 0.95) return Infinity;
    const foreign = groupOf.get(id) !== undefined && groupOf.get(id) !== '' && groupOf.get(id) !== group;
    if (foreign && dx < 1.1 && dy < 1.4) price += ROW;
  }
  return price;
}
