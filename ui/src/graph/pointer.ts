import type { Point } from '../base/geometry';

// Mouse, touch and wheel on the map's canvas, as what the user means by them. Points are in CSS pixels of the canvas.

export interface PointerEvents {
  zoom: (at: Point, factor: number) => void;
  pan: (dx: number, dy: number) => void;
  /** The pointer stands at a point and drags nothing; undefined when it left the canvas or begins to drag. */
  hover: (at: Point | undefined) => void;
  click: (at: Point) => void;
  doubleClick: (at: Point) => void;
}

/** A press that moves less than this is a click. */
const CLICK_PIXELS = 4;

export class PointerInput {
  /** True while the user drags the map. */
  dragging = false;
  private readonly abort = new AbortController();
  private readonly pressed = new Map<number, Point>();
  private start: Point | undefined;
  private corner: Point | undefined;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly events: PointerEvents,
  ) {
    const on = <K extends keyof HTMLElementEventMap>(
      name: K,
      f: (e: HTMLElementEventMap[K]) => void,
      passive = true,
    ): void => canvas.addEventListener(name, f, { signal: this.abort.signal, passive });
    on('wheel', (e) => this.wheel(e), false);
    on('pointerenter', () => this.measure());
    on('pointerdown', (e) => this.down(e));
    on('pointermove', (e) => this.move(e));
    on('pointerup', (e) => this.up(e));
    on('pointercancel', (e) => this.up(e));
    on('dblclick', (e) => events.doubleClick(this.local(e)));
    on('pointerleave', () => events.hover(undefined));
  }

  /** The canvas may have moved: its place is read again when next needed. */
  measure(): void {
    this.corner = undefined;
  }

  dispose(): void {
    this.abort.abort();
  }

  /** A pointer's place on the canvas. The canvas' own is read once a press or entry: asked in each move, it costs a layout. */
  private local(e: { clientX: number; clientY: number }): Point {
    this.corner ??= this.canvas.getBoundingClientRect();
    return { x: e.clientX - this.corner.x, y: e.clientY - this.corner.y };
  }

  private wheel(e: WheelEvent): void {
    e.preventDefault();
    const pixels = e.deltaMode === WheelEvent.DOM_DELTA_LINE ? 18 : 1;
    // A pinch on a touchpad comes as a wheel with Ctrl, in smaller steps.
    this.events.zoom(this.local(e), Math.exp(-e.deltaY * pixels * (e.ctrlKey ? 0.01 : 0.0016)));
  }

  private down(e: PointerEvent): void {
    this.measure();
    if (e.button !== 0) return;
    this.canvas.setPointerCapture(e.pointerId);
    this.start = this.local(e);
    this.pressed.set(e.pointerId, this.start);
    this.dragging = false;
  }

  private move(e: PointerEvent): void {
    const at = this.local(e);
    const before = this.pressed.get(e.pointerId);
    if (before === undefined) {
      this.events.hover(at);
      return;
    }
    const start = this.start ?? at;
    if (!this.dragging && this.pressed.size === 1 && Math.hypot(at.x - start.x, at.y - start.y) < CLICK_PIXELS) return;
    if (!this.dragging) {
      this.dragging = true;
      this.canvas.classList.add('dragging');
      this.events.hover(undefined);
    }
    if (this.pressed.size === 2) this.pinch(e.pointerId, before, at);
    else this.events.pan(at.x - before.x, at.y - before.y);
    this.pressed.set(e.pointerId, at);
  }

  /** One of two fingers moved: the map is zoomed about the middle between them, and goes half the way along. */
  private pinch(id: number, before: Point, at: Point): void {
    const other = [...this.pressed].find(([k]) => k !== id)?.[1] ?? at;
    const distance = (p: Point): number => Math.hypot(p.x - other.x, p.y - other.y);
    this.events.zoom(
      { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 },
      distance(at) / Math.max(1, distance(before)),
    );
    this.events.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
  }

  private up(e: PointerEvent): void {
    const was = this.pressed.delete(e.pointerId);
    this.canvas.classList.remove('dragging');
    if (was && !this.dragging && e.type === 'pointerup') this.events.click(this.local(e));
    if (this.pressed.size === 0) this.dragging = false;
    this.start = undefined;
  }
}
