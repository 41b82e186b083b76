import type { Point, Rect } from '../base/geometry';
import type { Atlas, Ink } from './atlas';
import type { View } from './camera';
import { nodeScale, type Floats } from './ink';

// Which words and badges are shown, and where.
//
// Problem: a map has more to say than room to say it. Words over words, or a badge over a node, cannot be read.
//
// Algorithm: nodes are obstacles. Words are offered with a weight; the weightiest choose first, each the first of its spots
// that touches nothing placed before, and none if all do. A grid of screen cells tells what is near. Who was shown the last
// time weighs a little more, so that figures that change do not make words come and go.
//
// Invariant: at the view for which it was begun, no two boxes that it gave out overlap, and none overlaps an obstacle
// but its owner's. While the map is zoomed by hand the boxes keep their places on the map; they are placed again at rest.

export interface Offer {
  /** Names the words from one build to the next. */
  key: string;
  words: string;
  /** Where it must fit: so many pixels, and fewer words for the same, to take where the words are wider; where all are, nothing is shown. */
  fit?: { width: number; shorter: readonly string[] };
  ink: Ink;
  weight: number;
  /** Shown from this zoom on. */
  leastZoom: number;
  opacity: number;
  /** Where it may stand, the best first; undefined after the last. Most are never asked for: words far off are not placed. */
  spot: (i: number) => Spot | undefined;
  /** The obstacle that it may cover: a group's own box, or the node that it is about. */
  owner?: string;
  /** All of it must be on the screen: another spot is taken, however far, where the best is cut by the edge. */
  whole?: boolean;
  /** Shown only beside the words of this key, which weigh more. */
  after?: string;
}

export interface Spot {
  at: Point;
  /** Below the point: so far times the scale of nodes, and so far in pixels. */
  scaledY: number;
  fixedY: number;
}

export interface Box {
  key: string;
  x: number;
  y: number;
  w: number;
  h: number;
}

/** Around the letters a picture has a rim of this width, which may touch another's. */
const RIM = 2;
const CELL = 72;
/** Words that were shown weigh so much more. */
const STEADY = 12;

export class Labels {
  /** What is shown, in CSS pixels from the middle of the map's canvas, at the view of the last place(). */
  shown: Box[] = [];
  private view: View = { x: 0, y: 0, zoom: 1 };
  private reach = { x: 0, y: 0 };
  private half = { x: 0, y: 0 };
  private offers: Offer[] = [];
  private obstacles: Box[] = [];
  private cells = new Map<number, Box[]>();
  private before = new Set<string>();

  begin(view: View, size: { w: number; h: number }): void {
    this.offers = [];
    this.obstacles = [];
    this.view = view;
    this.half = { x: size.w / 2, y: size.h / 2 };
    this.reach = { x: size.w * 0.75 + 100, y: size.h * 0.75 + 60 };
  }

  /** Whether a point is so near to what is seen that words about it may be. */
  near(p: Point): boolean {
    const { x, y, zoom } = this.view;
    return Math.abs((p.x - x) * zoom) < this.reach.x && Math.abs((p.y - y) * zoom) < this.reach.y;
  }

  /** Offers words, unless the map is too far for them. */
  offer(o: Offer): void {
    if (this.view.zoom >= o.leastZoom) this.offers.push(o);
  }

  /** A thing that words may not cover, in pixels from the middle. */
  obstacle(key: string, x: number, y: number, w: number, h: number): void {
    this.obstacles.push({ key, x, y, w, h });
  }

  /**
   * Fills the sprites' buffer. Drawing words that are new to the texture takes at most `freshMs`; the rest come with the
   * next build. Answers whether any wait.
   */
  place(atlas: Atlas, out: Floats, freshMs: number): boolean {
    const { view, reach } = this;
    this.cells = new Map();
    this.shown = [];
    const seen = (r: Rect): boolean => r.x < reach.x && r.x + r.w > -reach.x && r.y < reach.y && r.y + r.h > -reach.y;
    for (const o of this.obstacles) if (seen(o)) this.put(o);
    for (const o of this.offers) if (this.before.has(o.key)) o.weight += STEADY;
    const order = this.offers.sort((a, b) => b.weight - a.weight || (a.key < b.key ? -1 : 1));
    const until = performance.now() + freshMs;
    let waiting = false;
    const now = new Set<string>();
    const scale = nodeScale(view.zoom);
    for (const o of order) {
      const words = fitting(atlas, o);
      if (words === undefined || (o.after !== undefined && !now.has(o.after))) continue;
      const { w, h } = atlas.size(words, o.ink);
      for (let i = 0, s = o.spot(0); s !== undefined; s = o.spot(++i)) {
        const box: Box = {
          key: o.key,
          x: (s.at.x - view.x) * view.zoom - w / 2 + RIM,
          y: (s.at.y - view.y) * view.zoom + s.scaledY * scale + s.fixedY - h / 2 + RIM,
          w: w - 2 * RIM,
          h: h - 2 * RIM,
        };
        if (!seen(box)) break;
        if (this.taken(box, o.owner) || (o.whole === true && this.cut(box))) continue;
        this.put(box);
        now.add(o.key);
        if (!atlas.has(words, o.ink) && performance.now() >= until) {
          waiting = true;
          break;
        }
        const region = atlas.get(words, o.ink);
        this.shown.push(box);
        out.push(s.at.x, s.at.y, s.scaledY, s.fixedY, region.w, region.h, o.leastZoom * 0.8, o.opacity, ...region.uv);
        break;
      }
    }
    this.before = now;
    return waiting;
  }

  get solid(): readonly Box[] {
    return this.obstacles;
  }

  private cut(b: Box): boolean {
    const { x, y } = this.half;
    return b.x < -x || b.x + b.w > x || b.y < -y || b.y + b.h > y;
  }

  private put(b: Box): void {
    for (let i = Math.floor(b.x / CELL); i <= Math.floor((b.x + b.w) / CELL); i++)
      for (let j = Math.floor(b.y / CELL); j <= Math.floor((b.y + b.h) / CELL); j++) {
        const k = i * 4096 + j;
        const l = this.cells.get(k);
        if (l === undefined) this.cells.set(k, [b]);
        else l.push(b);
      }
  }

  private taken(b: Box, owner: string | undefined): boolean {
    for (let i = Math.floor(b.x / CELL); i <= Math.floor((b.x + b.w) / CELL); i++)
      for (let j = Math.floor(b.y / CELL); j <= Math.floor((b.y + b.h) / CELL); j++)
        for (const o of this.cells.get(i * 4096 + j) ?? [])
          if (o.key !== owner && b.x < o.x + o.w && o.x < b.x + b.w && b.y < o.y + o.h && o.y < b.y + b.h) return true;
    return false;
  }
}

/** The first of an offer's words that fit where it must fit. */
function fitting(atlas: Atlas, o: Offer): string | undefined {
  const { fit } = o;
  if (fit === undefined) return o.words;
  return [o.words, ...fit.shorter].find((w) => atlas.size(w, o.ink).w - 2 * RIM <= fit.width);
}

/** The spots of a list. */
export function listed(spots: readonly Spot[]): (i: number) => Spot | undefined {
  return (i) => spots[i];
}
