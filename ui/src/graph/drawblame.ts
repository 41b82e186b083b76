import { curveLength, type Curve, type Point } from '../base/geometry';
import { alpha, premultiplied, type Floats } from './ink';
import type { Palette } from './renderer';

// What leads from who suffers to who is to blame.

const APART_PX = 74;

/** Chevrons along calls by which the trouble came, towards who is to blame. */
export function drawWake(c: Curve, strength: number, p: Palette, out: { dot: Floats }): void {
  const n = Math.min(9, Math.max(1, Math.round(curveLength(c) / APART_PX) - 1));
  const ink = premultiplied(alpha(p.victim, Math.min(1, strength)));
  for (let i = 1; i <= n; i++) out.dot.push(...c, i / (n + 1), 0, 5, 3, ...ink);
}

/** An arrow, dashed and thin, where no calls lead there. */
export function drawBlame(from: Point, to: Point, p: Palette, out: { ribbon: Floats; dot: Floats }): void {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  if (length < 1) return;
  // Bowed aside, so that it does not lie on an edge.
  const bow = Math.min(70, length * 0.18) / length;
  const side = { x: -(to.y - from.y) * bow, y: (to.x - from.x) * bow };
  const at = (t: number): Point => ({
    x: from.x + (to.x - from.x) * t + side.x,
    y: from.y + (to.y - from.y) * t + side.y,
  });
  const [a, b] = [at(0.33), at(0.67)];
  const c: Curve = [from.x, from.y, a.x, a.y, b.x, b.y, to.x, to.y];
  const ink = premultiplied(alpha(p.victim, 0.8));
  out.ribbon.push(...c, 1.4, 0, 1, length, ...ink);
  out.dot.push(...c, 1 - Math.min(0.45, 34 / length), 0, 5.5, 1, ...ink);
}
