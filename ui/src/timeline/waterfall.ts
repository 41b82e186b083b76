import { css, type RGBA } from '../base/color';
import { duration } from '../base/format';
import { clamp } from '../base/geometry';
import { onFrame, type PaintHandle } from '../base/frames';
import type { TraceTree } from '../model/trace';

// The waterfall. The host scrolls natively over a spacer as tall as all rows; one canvas of the viewport's size sticks
// to it and draws only the rows that show: the cost of a frame depends on the window's height, not on the trace.

export interface WaterfallPalette {
  back: RGBA;
  stripe: RGBA;
  line: RGBA;
  ink: RGBA;
  ink2: RGBA;
  ink3: RGBA;
  accent: RGBA;
  failing: RGBA;
  hover: RGBA;
  /** Colours of services, by their index. */
  services: readonly RGBA[];
}

export interface WaterfallEvents {
  select: (row: number) => void;
  toggle: (row: number) => void;
  view: (from: number, to: number) => void;
}

export const ROW_HEIGHT = 25;
const RULER = 26;
const SANS = 'ui-sans-serif, "Inter", "SF Pro Text", "Segoe UI", system-ui, "Liberation Sans", sans-serif';

export class Waterfall {
  private readonly canvas = document.createElement('canvas');
  private readonly spacer = document.createElement('div');
  private readonly pen: CanvasRenderingContext2D;
  private readonly paint: PaintHandle;
  private readonly resizing: ResizeObserver;
  private readonly abort = new AbortController();
  private tree: TraceTree | undefined;
  private rows: Int32Array = new Int32Array(0);
  private lineOf = new Map<number, number>();
  private collapsed: ReadonlySet<number> = new Set();
  private matches: ReadonlySet<number> = new Set();
  /** Widths of the services' names, measured once. */
  private widths: (number | undefined)[] = [];
  private selected = -1;
  private hover = -1;
  private width = 0;
  private height = 0;
  private dpr = 1;
  private colors: Record<Exclude<keyof WaterfallPalette, 'services'>, string>;
  private serviceColors: string[] = [];
  private drag: { x: number; from: number; to: number; moved: boolean } | undefined;
  from = 0;
  to = 1;

  constructor(
    private readonly host: HTMLElement,
    palette: WaterfallPalette,
    private readonly events: WaterfallEvents,
  ) {
    const pen = this.canvas.getContext('2d', { alpha: false });
    if (pen === null) throw new Error('this browser gives no 2D canvas');
    this.pen = pen;
    this.canvas.className = 'waterfall-canvas';
    this.spacer.className = 'waterfall-spacer';
    host.append(this.canvas, this.spacer);
    this.colors = this.paletteToCss(palette);
    this.paint = onFrame(() => this.draw());
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(host);
    this.listen();
    this.resize();
  }

  dispose(): void {
    this.abort.abort();
    this.resizing.disconnect();
    this.paint.dispose();
    this.canvas.remove();
    this.spacer.remove();
  }

  setPalette(p: WaterfallPalette): void {
    this.colors = this.paletteToCss(p);
    this.paint.now();
  }

  setTree(tree: TraceTree, rows: Int32Array, collapsed: ReadonlySet<number>): void {
    if (tree !== this.tree) {
      this.from = 0;
      this.to = tree.duration;
      this.widths = [];
    }
    this.tree = tree;
    this.rows = rows;
    this.collapsed = collapsed;
    this.lineOf = new Map();
    rows.forEach((row, line) => this.lineOf.set(row, line));
    this.layOut();
    this.paint.now();
  }

  setMarks(selected: number, matches: ReadonlySet<number>): void {
    this.selected = selected;
    this.matches = matches;
    this.paint.now();
  }

  setView(from: number, to: number): void {
    const whole = this.tree?.duration ?? 1;
    const least = whole / 1e5;
    const span = clamp(to - from, least, whole);
    this.from = clamp(from, 0, whole - span);
    this.to = this.from + span;
    this.paint.now();
  }

  /** Scrolls the row into the window if it is not in it. */
  reveal(row: number): void {
    const line = this.lineOf.get(row);
    if (line === undefined) return;
    const y = line * ROW_HEIGHT;
    const room = this.height - RULER;
    if (y < this.host.scrollTop) this.host.scrollTop = Math.max(0, y - ROW_HEIGHT * 2);
    else if (y + ROW_HEIGHT > this.host.scrollTop + room) this.host.scrollTop = y + ROW_HEIGHT * 3 - room;
  }

  private get gutter(): number {
    return clamp(this.width * 0.34, 180, 460);
  }

  private paletteToCss(p: WaterfallPalette): Waterfall['colors'] {
    this.serviceColors = p.services.map(css);
    return {
      back: css(p.back),
      stripe: css(p.stripe),
      line: css(p.line),
      ink: css(p.ink),
      ink2: css(p.ink2),
      ink3: css(p.ink3),
      accent: css(p.accent),
      failing: css(p.failing),
      hover: css(p.hover),
    };
  }

  private resize(): void {
    this.width = this.host.clientWidth;
    this.height = this.host.clientHeight;
    this.dpr = Math.min(2, devicePixelRatio);
    this.canvas.width = Math.round(this.width * this.dpr);
    this.canvas.height = Math.round(this.height * this.dpr);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.layOut();
    this.paint.now();
  }

  private layOut(): void {
    this.spacer.style.height = `${Math.max(0, this.rows.length * ROW_HEIGHT + RULER - this.height)}px`;
  }

  private draw(): void {
    const { pen, tree, colors: c, width, height } = this;
    pen.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    pen.fillStyle = c.back;
    pen.fillRect(0, 0, width, height);
    if (tree === undefined) return;
    const top = this.host.scrollTop;
    const first = Math.max(0, Math.floor(top / ROW_HEIGHT));
    const last = Math.min(this.rows.length, Math.ceil((top + height - RULER) / ROW_HEIGHT));
    const gutter = this.gutter;
    const scale = (width - gutter - 24) / (this.to - this.from);
    const xOf = (t: number): number => gutter + 10 + (t - this.from) * scale;
    pen.textBaseline = 'middle';

    // Names first; the bars' ground then covers what runs over.
    this.drawNames(first, last, top, gutter);
    pen.fillStyle = c.back;
    pen.fillRect(gutter, 0, width - gutter, height);
    for (let line = first; line < last; line++)
      this.drawGround(line, RULER + line * ROW_HEIGHT - top, gutter, width - gutter);
    this.drawRuler(gutter, xOf);
    pen.font = `500 11px ${SANS}`;
    for (let line = first; line < last; line++) this.drawBar(line, RULER + line * ROW_HEIGHT - top, gutter, xOf);
    pen.fillStyle = c.back;
    pen.fillRect(0, 0, gutter, RULER);
    pen.fillStyle = c.ink3;
    pen.font = `500 11px ${SANS}`;
    pen.textAlign = 'left';
    pen.fillText(`${tree.rows.length.toLocaleString('en')} spans · ${tree.services.length} services`, 14, RULER / 2);
    pen.fillStyle = c.line;
    pen.fillRect(0, RULER - 1, width, 1);
    pen.fillRect(gutter, 0, 1, height);
  }

  private drawGround(line: number, y: number, x: number, w: number): void {
    const row = this.rows[line]!;
    const fill = row === this.selected ? this.colors.hover : line === this.hover ? this.colors.stripe : undefined;
    if (fill === undefined) return;
    this.pen.fillStyle = fill;
    this.pen.fillRect(x, y, w, ROW_HEIGHT);
    if (row === this.selected && x === 0) {
      this.pen.fillStyle = this.colors.accent;
      this.pen.fillRect(0, y, 3, ROW_HEIGHT);
    }
  }

  /** All names of one font at a time: changing a canvas' font is dearer than drawing a word. */
  private drawNames(first: number, last: number, top: number, gutter: number): void {
    const { pen, colors: c } = this;
    const t = this.tree!;
    const yOf = (line: number): number => RULER + line * ROW_HEIGHT - top;
    for (let line = first; line < last; line++) this.drawTwig(line, yOf(line), gutter);
    pen.textAlign = 'left';
    pen.font = `600 12px ${SANS}`;
    const at = (row: number): number => indent(t.depth[row]!) + (this.matches.has(row) ? 33 : 23);
    for (let line = first; line < last; line++) {
      const row = this.rows[line]!;
      const span = t.rows[row]!;
      pen.fillStyle = span.status === 'error' ? c.failing : c.ink;
      pen.fillText(span.service, at(row), yOf(line) + ROW_HEIGHT / 2);
      const service = t.serviceOf[row]!;
      this.widths[service] ??= pen.measureText(span.service).width;
    }
    pen.font = `400 12px ${SANS}`;
    pen.fillStyle = c.ink2;
    for (let line = first; line < last; line++) {
      const row = this.rows[line]!;
      pen.fillText(t.rows[row]!.name, at(row) + this.widths[t.serviceOf[row]!]! + 7, yOf(line) + ROW_HEIGHT / 2);
    }
    pen.fillStyle = c.ink3;
    pen.textAlign = 'right';
    for (let line = first; line < last; line++) {
      const row = this.rows[line]!;
      if (this.collapsed.has(row)) pen.fillText(`+${t.end[row]! - row - 1}`, gutter - 10, yOf(line) + ROW_HEIGHT / 2);
    }
    pen.textAlign = 'left';
  }

  private drawTwig(line: number, y: number, gutter: number): void {
    const { pen, colors: c } = this;
    const t = this.tree!;
    const row = this.rows[line]!;
    const depth = t.depth[row]!;
    this.drawGround(line, y, 0, gutter);
    const x = indent(depth);
    const mid = y + ROW_HEIGHT / 2;
    pen.fillStyle = c.line;
    for (let d = 1; d <= Math.min(depth, 14); d++) pen.fillRect(Math.round(indent(d)) - 7, y, 1, ROW_HEIGHT);
    if (t.end[row]! > row + 1) {
      pen.strokeStyle = c.ink2;
      pen.lineWidth = 1.4;
      pen.beginPath();
      if (this.collapsed.has(row)) {
        pen.moveTo(x + 2, mid - 4);
        pen.lineTo(x + 6, mid);
        pen.lineTo(x + 2, mid + 4);
      } else {
        pen.moveTo(x, mid - 2);
        pen.lineTo(x + 4, mid + 2);
        pen.lineTo(x + 8, mid - 2);
      }
      pen.stroke();
    }
    pen.fillStyle = this.serviceColors[t.serviceOf[row]! % this.serviceColors.length] ?? c.ink3;
    pen.fillRect(x + 14, mid - 6, 3, 12);
    if (this.matches.has(row)) {
      pen.fillStyle = c.accent;
      pen.beginPath();
      pen.arc(x + 25, mid, 3, 0, Math.PI * 2);
      pen.fill();
    }
  }

  private drawBar(line: number, y: number, gutter: number, xOf: (t: number) => number): void {
    const { pen, colors: c } = this;
    const t = this.tree!;
    const row = this.rows[line]!;
    const span = t.rows[row]!;
    const mid = y + ROW_HEIGHT / 2;
    const a = xOf(span.start);
    const b = Math.max(a + 1.5, xOf(span.start + span.duration));
    if (b < gutter || a > this.width) {
      pen.fillStyle = c.ink3;
      pen.textAlign = b < gutter ? 'left' : 'right';
      pen.fillText(b < gutter ? '‹' : '›', b < gutter ? gutter + 4 : this.width - 6, mid);
      return;
    }
    const left = Math.max(gutter + 1, a);
    pen.fillStyle = this.serviceColors[t.serviceOf[row]! % this.serviceColors.length] ?? c.ink3;
    pen.globalAlpha = this.matches.size > 0 && !this.matches.has(row) ? 0.35 : 0.85;
    const plain = b - left < 5;
    if (plain) pen.fillRect(left, mid - 5, b - left, 10);
    else {
      pen.beginPath();
      pen.roundRect(left, mid - 5, b - left, 10, 3);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (span.status === 'error') {
      pen.beginPath();
      pen.rect(left, mid - 5, b - left, 10);
      pen.strokeStyle = c.failing;
      pen.lineWidth = 1.5;
      pen.stroke();
    }
    for (const part of t.critical.get(row) ?? []) {
      const pa = Math.max(gutter + 1, xOf(part.from));
      const pb = Math.max(pa + 1, xOf(part.to));
      pen.fillStyle = c.accent;
      pen.fillRect(pa, mid + 6.5, pb - pa, 2.5);
    }
    for (const e of span.events) {
      const x = xOf(e.time);
      if (x < gutter) continue;
      pen.fillStyle = span.status === 'error' ? c.failing : c.ink;
      pen.beginPath();
      pen.moveTo(x, mid - 8);
      pen.lineTo(x + 3, mid - 5);
      pen.lineTo(x, mid - 2);
      pen.lineTo(x - 3, mid - 5);
      pen.fill();
    }
    const words = duration(span.duration);
    pen.fillStyle = c.ink2;
    if (b + 64 < this.width) {
      pen.textAlign = 'left';
      pen.fillText(words, b + 7, mid);
    } else if (a - 64 > gutter) {
      pen.textAlign = 'right';
      pen.fillText(words, a - 7, mid);
    } else {
      pen.fillStyle = c.back;
      pen.textAlign = 'right';
      pen.fillText(words, Math.min(b, this.width) - 8, mid);
    }
  }

  private drawRuler(gutter: number, xOf: (t: number) => number): void {
    const { pen, colors: c } = this;
    pen.font = `500 11px ${SANS}`;
    const step = niceStep(this.to - this.from, Math.max(2, Math.floor((this.width - gutter) / 120)));
    pen.textAlign = 'left';
    for (let t = Math.ceil(this.from / step) * step; t <= this.to + step * 1e-6; t += step) {
      const x = Math.round(xOf(t));
      pen.fillStyle = c.line;
      pen.fillRect(x, RULER - 6, 1, this.height);
      pen.fillStyle = c.ink3;
      if (x + 56 < this.width) pen.fillText(duration(Math.round(t / step) * step), x + 5, RULER / 2 - 1);
    }
  }

  private rowAt(y: number): number {
    const line = Math.floor((y - RULER + this.host.scrollTop) / ROW_HEIGHT);
    return y < RULER || line >= this.rows.length ? -1 : line;
  }

  private listen(): void {
    const on = <K extends keyof HTMLElementEventMap>(
      el: HTMLElement,
      name: K,
      f: (e: HTMLElementEventMap[K]) => void,
      passive = true,
    ): void => el.addEventListener(name, f, { signal: this.abort.signal, passive });
    on(this.host, 'scroll', () => this.paint.now());
    on(
      this.host,
      'wheel',
      (e) => {
        const gutter = this.gutter;
        const x = e.clientX - this.canvas.getBoundingClientRect().left;
        if (x < gutter) return;
        const span = this.to - this.from;
        if (e.ctrlKey || e.metaKey) {
          e.preventDefault();
          const k = Math.exp(e.deltaY * 0.004);
          const at = this.from + ((x - gutter - 10) / (this.width - gutter - 24)) * span;
          this.look(at - (at - this.from) * k, at + (this.to - at) * k);
        } else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
          e.preventDefault();
          const by = ((e.deltaX || e.deltaY) / this.width) * span;
          this.look(this.from + by, this.to + by);
        }
      },
      false,
    );
    on(this.canvas, 'pointermove', (e) => {
      const r = this.canvas.getBoundingClientRect();
      const line = this.rowAt(e.clientY - r.top);
      if (line !== this.hover) {
        this.hover = line;
        this.paint.now();
      }
      if (this.drag !== undefined) {
        const by = ((this.drag.x - e.clientX) / (this.width - this.gutter - 24)) * (this.drag.to - this.drag.from);
        this.drag.moved ||= Math.abs(this.drag.x - e.clientX) > 3;
        if (this.drag.moved) this.look(this.drag.from + by, this.drag.to + by);
      }
    });
    on(this.canvas, 'pointerleave', () => {
      this.hover = -1;
      this.paint.now();
    });
    on(this.canvas, 'pointerdown', (e) => {
      if (e.clientX - this.canvas.getBoundingClientRect().left > this.gutter) {
        this.drag = { x: e.clientX, from: this.from, to: this.to, moved: false };
        this.canvas.setPointerCapture(e.pointerId);
      }
    });
    on(this.canvas, 'pointerup', (e) => {
      const moved = this.drag?.moved ?? false;
      this.drag = undefined;
      if (moved) return;
      const r = this.canvas.getBoundingClientRect();
      const line = this.rowAt(e.clientY - r.top);
      if (line < 0 || this.tree === undefined) return;
      const row = this.rows[line]!;
      const x = e.clientX - r.left;
      const caret = indent(this.tree.depth[row]!);
      if (x >= caret - 6 && x <= caret + 13 && this.tree.end[row]! > row + 1) this.events.toggle(row);
      else this.events.select(row);
    });
    on(this.canvas, 'dblclick', (e) => {
      const line = this.rowAt(e.clientY - this.canvas.getBoundingClientRect().top);
      const span = line < 0 ? undefined : this.tree?.rows[this.rows[line]!];
      if (span !== undefined) this.look(span.start - span.duration * 0.1, span.start + span.duration * 1.1);
    });
  }

  private look(from: number, to: number): void {
    this.setView(from, to);
    this.events.view(this.from, this.to);
  }
}

/** Deep traces would walk out of the column: after 14 levels the indent stops. */
function indent(depth: number): number {
  return 12 + Math.min(depth, 14) * 13;
}

export function niceStep(span: number, marks: number): number {
  const raw = span / marks;
  const power = 10 ** Math.floor(Math.log10(raw));
  return ([1, 2, 5, 10].find((k) => k * power >= raw) ?? 10) * power;
}
