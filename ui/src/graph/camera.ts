import { clamp, type Point, type Rect } from '../base/geometry';

// What part of the map is seen, and how near. World units are CSS pixels at zoom 1. A flight moves smoothly to another view
// and ends when the user moves the map.

export interface View {
  x: number;
  y: number;
  zoom: number;
}

/** Nobody zooms out further than this, or than half of what shows all. */
const MIN_ZOOM = 0.08;
const LEAST_ZOOM = 0.002;
const MAX_ZOOM = 3;
const FLIGHT = 420;

export class Camera {
  view: View = { x: 0, y: 0, zoom: 1 };
  width = 1;
  height = 1;
  private least = MIN_ZOOM;
  private flight: { from: View; to: View; start: number } | undefined;

  toScreen(p: Point): Point {
    return {
      x: (p.x - this.view.x) * this.view.zoom + this.width / 2,
      y: (p.y - this.view.y) * this.view.zoom + this.height / 2,
    };
  }

  toWorld(p: Point): Point {
    return {
      x: (p.x - this.width / 2) / this.view.zoom + this.view.x,
      y: (p.y - this.height / 2) / this.view.zoom + this.view.y,
    };
  }

  panBy(dx: number, dy: number): void {
    this.flight = undefined;
    this.view = { ...this.view, x: this.view.x - dx / this.view.zoom, y: this.view.y - dy / this.view.zoom };
  }

  /** Zooms so that the world under the given screen point stays under it. */
  zoomAt(at: Point, factor: number): void {
    this.flight = undefined;
    const before = this.toWorld(at);
    const zoom = clamp(this.view.zoom * factor, this.least, MAX_ZOOM);
    this.view = { x: before.x - (at.x - this.width / 2) / zoom, y: before.y - (at.y - this.height / 2) / zoom, zoom };
  }

  /** Lets the whole of a rectangle be seen, and no more than as much again around it. */
  reach(r: Rect): void {
    this.least = Math.min(MIN_ZOOM, Math.min(this.width / Math.max(r.w, 1), this.height / Math.max(r.h, 1)) * 0.5);
  }

  /** The view that shows a rectangle whole within the given insets. */
  fitView(r: Rect, inset: { left: number; right: number; top: number; bottom: number }, maxZoom = 1.15): View {
    const w = Math.max(80, this.width - inset.left - inset.right);
    const h = Math.max(80, this.height - inset.top - inset.bottom);
    const zoom = clamp(Math.min(w / Math.max(r.w, 1), h / Math.max(r.h, 1)), LEAST_ZOOM, maxZoom);
    return {
      x: r.x + r.w / 2 - (inset.left - inset.right) / 2 / zoom,
      y: r.y + r.h / 2 - (inset.top - inset.bottom) / 2 / zoom,
      zoom,
    };
  }

  flyTo(to: View, time: number, still: boolean): void {
    if (still) this.view = to;
    else this.flight = { from: this.view, to, start: time };
  }

  /** Moves along a flight; true while in flight. */
  step(time: number): boolean {
    if (this.flight === undefined) return false;
    const { from, to, start } = this.flight;
    const t = clamp((time - start) / FLIGHT, 0, 1);
    const k = 1 - (1 - t) ** 3;
    // Zoom goes by ratio, so that the speed looks even.
    this.view = {
      x: from.x + (to.x - from.x) * k,
      y: from.y + (to.y - from.y) * k,
      zoom: from.zoom * (to.zoom / from.zoom) ** k,
    };
    if (t >= 1) this.flight = undefined;
    return this.flight !== undefined;
  }
}
