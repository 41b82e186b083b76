import { curveAt, type Curve, type Point } from '../base/geometry';
import { COLUMN } from './layout';

// The curve of an edge: out of the source to the right, into the target from the left, bowed around whoever stands in
// between. Bows are tried from the flattest to the widest, and the first that touches nobody is taken, so a curve
// depends on positions only and does not flicker with traffic.

const BOWS = [0, 0.5, -0.5, 0.9, -0.9, 1.4, -1.4, 2, -2];
const CLEAR = 40;

/** Nodes by coarse cells, to ask who is near a point. */
export class Neighbours {
  private readonly cells = new Map<number, Point[]>();

  constructor(points: Iterable<Point>) {
    for (const p of points) {
      const k = cell(p.x, p.y);
      const l = this.cells.get(k);
      if (l === undefined) this.cells.set(k, [p]);
      else l.push(p);
    }
  }

  /** How many nodes other than the two ends lie within `radius`. */
  touching(x: number, y: number, radius: number, a: Point, b: Point): number {
    let n = 0;
    for (let i = -1; i <= 1; i++) {
      for (let j = -1; j <= 1; j++) {
        for (const p of this.cells.get(cell(x + i * COLUMN, y + j * COLUMN)) ?? []) {
          if (p !== a && p !== b && (p.x - x) ** 2 + (p.y - y) ** 2 < radius * radius) n++;
        }
      }
    }
    return n;
  }
}

function cell(x: number, y: number): number {
  return Math.floor(x / COLUMN) * 65536 + Math.floor(y / COLUMN);
}

export function route(a: Point, b: Point, around: Neighbours, twin: number): Curve {
  let best: Curve | undefined;
  let fewest = Infinity;
  for (const bow of BOWS) {
    const c = curve(a, b, bow * 90 + twin * 26);
    let touched = 0;
    for (let i = 2; i <= 14; i++) {
      const p = curveAt(c, i / 16);
      touched += around.touching(p.x, p.y, CLEAR, a, b);
    }
    if (touched < fewest) {
      fewest = touched;
      best = c;
      if (touched === 0) break;
    }
  }
  return best ?? curve(a, b, 0);
}

function curve(a: Point, b: Point, bow: number): Curve {
  const dx = b.x - a.x;
  // Backwards, or straight up and down: leave by the right all the same and come round.
  const reach = dx > 40 ? Math.max(dx * 0.46, 50) : Math.min(220, 90 + Math.abs(dx) * 0.3);
  const lift = dx > 40 ? bow : bow + (Math.abs(b.y - a.y) < 60 ? -130 : 0);
  return [a.x, a.y, a.x + reach, a.y + lift, b.x - reach, b.y + lift, b.x, b.y];
}
