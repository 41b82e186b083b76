export interface Point {
  x: number;
  y: number;
}

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** A cubic Bézier curve as eight numbers: p0, p1, p2, p3. */
export type Curve = readonly [number, number, number, number, number, number, number, number];

export function curveAt(c: Curve, t: number): Point {
  const u = 1 - t;
  const a = u * u * u;
  const b = 3 * u * u * t;
  const d = 3 * u * t * t;
  const e = t * t * t;
  return { x: a * c[0] + b * c[2] + d * c[4] + e * c[6], y: a * c[1] + b * c[3] + d * c[5] + e * c[7] };
}

/** Length by chords: exact enough to space dots and to pick a label's place. */
export function curveLength(c: Curve): number {
  let sum = 0;
  let last = curveAt(c, 0);
  for (let i = 1; i <= 16; i++) {
    const p = curveAt(c, i / 16);
    sum += Math.hypot(p.x - last.x, p.y - last.y);
    last = p;
  }
  return sum;
}

/** Distance from a point to the curve, by its chords. */
export function curveDistance(c: Curve, p: Point): number {
  let best = Infinity;
  let a = curveAt(c, 0);
  for (let i = 1; i <= 24; i++) {
    const b = curveAt(c, i / 24);
    best = Math.min(best, segmentDistance(p, a, b));
    a = b;
  }
  return best;
}

export function segmentDistance(p: Point, a: Point, b: Point): number {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const len2 = dx * dx + dy * dy;
  const t = len2 === 0 ? 0 : Math.max(0, Math.min(1, ((p.x - a.x) * dx + (p.y - a.y) * dy) / len2));
  return Math.hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

export function clamp(v: number, lo: number, hi: number): number {
  return v < lo ? lo : v > hi ? hi : v;
}
