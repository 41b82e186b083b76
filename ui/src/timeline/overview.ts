import { css } from '../base/color';
import { clamp } from '../base/geometry';
import { onFrame, type PaintHandle } from '../base/frames';
import type { TraceTree } from '../model/trace';
import type { WaterfallPalette } from './waterfall';

// The whole trace in a strip: every span a hairline, drawn once into a picture; above it the window that the waterfall
// shows, to be dragged, moved by its ends, or drawn anew.

const EDGE = 6;

export class Overview {
  private readonly canvas = document.createElement('canvas');
  private readonly picture = document.createElement('canvas');
  private readonly pen: CanvasRenderingContext2D;
  private readonly paint: PaintHandle;
  private readonly resizing: ResizeObserver;
  private readonly abort = new AbortController();
  private tree: TraceTree | undefined;
  private from = 0;
  private to = 1;
  private drag: { kind: 'new' | 'move' | 'from' | 'to'; t: number; from: number; to: number } | undefined;

  constructor(
    private readonly host: HTMLElement,
    private palette: WaterfallPalette,
    private readonly changed: (from: number, to: number) => void,
  ) {
    const pen = this.canvas.getContext('2d');
    if (pen === null) throw new Error('this browser gives no 2D canvas');
    this.pen = pen;
    this.canvas.className = 'overview-canvas';
    host.append(this.canvas);
    this.paint = onFrame(() => this.draw());
    this.resizing = new ResizeObserver(() => this.compose());
    this.resizing.observe(host);
    this.listen();
  }

  dispose(): void {
    this.abort.abort();
    this.resizing.disconnect();
    this.paint.dispose();
    this.canvas.remove();
  }

  setTree(tree: TraceTree): void {
    this.tree = tree;
    this.from = 0;
    this.to = tree.duration;
    this.compose();
  }

  setPalette(p: WaterfallPalette): void {
    this.palette = p;
    this.compose();
  }

  setView(from: number, to: number): void {
    this.from = from;
    this.to = to;
    this.paint.now();
  }

  private compose(): void {
    const dpr = Math.min(2, devicePixelRatio);
    const w = this.host.clientWidth;
    const h = this.host.clientHeight;
    for (const c of [this.canvas, this.picture]) {
      c.width = Math.max(1, Math.round(w * dpr));
      c.height = Math.max(1, Math.round(h * dpr));
    }
    const pen = this.picture.getContext('2d');
    const t = this.tree;
    if (pen === null || t === undefined) return;
    const px = this.picture.width / t.duration;
    const room = this.picture.height - 8 * dpr;
    const thick = clamp(room / t.rows.length, 0.7, 5 * dpr);
    const services = this.palette.services.map(css);
    t.rows.forEach((s, row) => {
      pen.globalAlpha = t.rows.length > 2000 ? 0.55 : 0.85;
      pen.fillStyle =
        s.status === 'error' ? css(this.palette.failing) : (services[t.serviceOf[row]! % services.length] ?? '');
      pen.fillRect(
        s.start * px,
        4 * dpr + (row / t.rows.length) * room,
        Math.max(1, s.duration * px),
        Math.max(0.7, thick * 0.8),
      );
    });
    pen.globalAlpha = 1;
    pen.fillStyle = css(this.palette.accent);
    for (const [row, parts] of t.critical) {
      for (const p of parts)
        pen.fillRect(
          p.from * px,
          4 * dpr + (row / t.rows.length) * room,
          Math.max(1, (p.to - p.from) * px),
          Math.max(dpr, thick * 0.4),
        );
    }
    this.paint.now();
  }

  private draw(): void {
    const { pen } = this;
    const w = this.canvas.width;
    const h = this.canvas.height;
    pen.clearRect(0, 0, w, h);
    pen.drawImage(this.picture, 0, 0);
    const t = this.tree;
    if (t === undefined || (this.from <= 0 && this.to >= t.duration)) return;
    const a = (this.from / t.duration) * w;
    const b = Math.max(a + 2, (this.to / t.duration) * w);
    pen.fillStyle = css(this.palette.back);
    pen.globalAlpha = 0.72;
    pen.fillRect(0, 0, a, h);
    pen.fillRect(b, 0, w - b, h);
    pen.globalAlpha = 1;
    pen.fillStyle = css(this.palette.accent);
    pen.fillRect(a - 1, 0, 2, h);
    pen.fillRect(b - 1, 0, 2, h);
  }

  private listen(): void {
    const on = <K extends keyof HTMLElementEventMap>(name: K, f: (e: HTMLElementEventMap[K]) => void): void =>
      this.canvas.addEventListener(name, f, { signal: this.abort.signal });
    const timeAt = (e: PointerEvent): number => {
      const r = this.canvas.getBoundingClientRect();
      return clamp((e.clientX - r.left) / r.width, 0, 1) * (this.tree?.duration ?? 1);
    };
    const kindAt = (e: PointerEvent): 'new' | 'move' | 'from' | 'to' => {
      const d = this.tree?.duration ?? 1;
      if (this.from <= 0 && this.to >= d) return 'new';
      const r = this.canvas.getBoundingClientRect();
      const x = e.clientX - r.left;
      const a = (this.from / d) * r.width;
      const b = (this.to / d) * r.width;
      if (Math.abs(x - a) < EDGE) return 'from';
      if (Math.abs(x - b) < EDGE) return 'to';
      return x > a && x < b ? 'move' : 'new';
    };
    on('pointerdown', (e) => {
      this.canvas.setPointerCapture(e.pointerId);
      this.drag = { kind: kindAt(e), t: timeAt(e), from: this.from, to: this.to };
    });
    on('pointermove', (e) => {
      const g = this.drag;
      if (g === undefined) {
        this.canvas.style.cursor = { new: 'crosshair', move: 'grab', from: 'ew-resize', to: 'ew-resize' }[kindAt(e)];
        return;
      }
      const t = timeAt(e);
      if (g.kind === 'new') this.look(Math.min(g.t, t), Math.max(g.t, t));
      else if (g.kind === 'move') this.look(g.from + t - g.t, g.to + t - g.t);
      else if (g.kind === 'from') this.look(Math.min(t, g.to), g.to);
      else this.look(g.from, Math.max(t, g.from));
    });
    on('pointerup', (e) => {
      const g = this.drag;
      this.drag = undefined;
      // A click without a drag shows everything again.
      if (g?.kind === 'new' && Math.abs(timeAt(e) - g.t) < (this.tree?.duration ?? 1) * 0.003)
        this.look(0, this.tree?.duration ?? 1);
    });
    on('dblclick', () => this.look(0, this.tree?.duration ?? 1));
  }

  private look(from: number, to: number): void {
    const d = this.tree?.duration ?? 1;
    const span = clamp(to - from, d / 1e5, d);
    const start = clamp(from, 0, d - span);
    this.setView(start, start + span);
    this.changed(start, start + span);
  }
}
