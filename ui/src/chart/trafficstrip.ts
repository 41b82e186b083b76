import { alpha, css, type RGBA } from '../base/color';
import { clock, when } from '../base/format';
import { clamp } from '../base/geometry';
import { onFrame, type PaintHandle } from '../base/frames';
import type { EventMark, EventTone } from '../model/events';

// The strip at the foot of the map: the whole mesh's traffic over time, errors and refusals as bars from below, and what
// happened as diamonds at the top. A drag over it chooses the time whose map is shown; the line at the right end is now.

export interface Traffic {
  /** Unix ms. */
  times: number[];
  rate: number[];
  errors: number[];
  throttled: number[];
}

export interface TrafficLook {
  ink: RGBA;
  ink2: RGBA;
  line: RGBA;
  ok: RGBA;
  failing: RGBA;
  throttled: RGBA;
  accent: RGBA;
  /** The colours of what happened. */
  events: Readonly<Record<EventTone, RGBA>>;
}

export interface TrafficEvents {
  choose: (from: number, to: number) => void;
  /** The pointer is on a mark, so many pixels from the left, or on none. */
  point: (mark: EventMark | undefined, x: number) => void;
  /** A mark was pressed. */
  open: (mark: EventMark) => void;
}

/** How near to a mark counts as on it, in pixels across and down from the strip's top. */
const NEAR = { x: 6, y: 16 } as const;
const MARK_Y = 6;

const FONT = '10.5px ui-sans-serif, "Inter", "Segoe UI", system-ui, "Liberation Sans", sans-serif';

export class TrafficStrip {
  private readonly canvas = document.createElement('canvas');
  private readonly pen: CanvasRenderingContext2D;
  private readonly paint: PaintHandle;
  private readonly resizing: ResizeObserver;
  private data: Traffic = { times: [], rate: [], errors: [], throttled: [] };
  private from = 0;
  private to = 1;
  private chosen: { from: number; to: number } | undefined;
  private drag: { start: number; at: number } | undefined;
  private hover: number | undefined;
  private marks: readonly EventMark[] = [];
  private pointed: EventMark | undefined;

  constructor(
    private readonly host: HTMLElement,
    private look: TrafficLook,
    private readonly events: TrafficEvents,
  ) {
    const pen = this.canvas.getContext('2d');
    if (pen === null) throw new Error('this browser gives no 2D canvas');
    this.pen = pen;
    host.append(this.canvas);
    this.paint = onFrame(() => this.draw());
    this.resizing = new ResizeObserver(() => this.paint.now());
    this.resizing.observe(host);
    const timeAt = (x: number): number =>
      this.from + (clamp(x, 0, host.clientWidth) / host.clientWidth) * (this.to - this.from);
    this.canvas.addEventListener('pointerdown', (e) => {
      this.canvas.setPointerCapture(e.pointerId);
      this.drag = { start: timeAt(e.offsetX), at: timeAt(e.offsetX) };
    });
    this.canvas.addEventListener('pointermove', (e) => {
      this.hover = timeAt(e.offsetX);
      if (this.drag !== undefined) this.drag.at = this.hover;
      this.pointAt(this.drag === undefined ? this.markAt(e.offsetX, e.offsetY) : undefined);
      this.paint.now();
    });
    this.canvas.addEventListener('pointerleave', () => {
      this.hover = undefined;
      this.pointAt(undefined);
      this.paint.now();
    });
    this.canvas.addEventListener('pointerup', (e) => {
      const d = this.drag;
      this.drag = undefined;
      if (d === undefined) return;
      const span = this.to - this.from;
      const click = Math.abs(d.at - d.start) < span * 0.006;
      const mark = click ? this.markAt(e.offsetX, e.offsetY) : undefined;
      if (mark !== undefined) {
        events.open(mark);
        this.paint.now();
        return;
      }
      const a = click ? d.start - span / 48 : Math.min(d.start, d.at);
      const b = click ? d.start + span / 48 : Math.max(d.start, d.at);
      events.choose(Math.round(a), Math.round(Math.min(b, this.to)));
    });
  }

  dispose(): void {
    this.resizing.disconnect();
    this.paint.dispose();
    this.canvas.remove();
  }

  set(
    data: Traffic,
    reach: { from: number; to: number },
    chosen: { from: number; to: number } | undefined,
    marks: readonly EventMark[],
    look: TrafficLook,
  ): void {
    this.data = data;
    this.from = reach.from;
    this.to = reach.to;
    this.chosen = chosen;
    this.marks = marks;
    this.look = look;
    this.paint.now();
  }

  private xOf(t: number): number {
    return ((t - this.from) / (this.to - this.from)) * this.host.clientWidth;
  }

  private markAt(x: number, y: number): EventMark | undefined {
    if (y > NEAR.y) return undefined;
    const away = (m: EventMark): number => Math.abs(this.xOf(m.time) - x);
    const near = this.marks.filter((m) => away(m) <= NEAR.x);
    return near.reduce<EventMark | undefined>((b, m) => (b === undefined || away(m) < away(b) ? m : b), undefined);
  }

  private pointAt(m: EventMark | undefined): void {
    if (m === this.pointed) return;
    this.pointed = m;
    this.canvas.style.cursor = m === undefined ? '' : 'pointer';
    this.events.point(m, m === undefined ? 0 : this.xOf(m.time));
  }

  private draw(): void {
    const { pen, look, data } = this;
    const dpr = Math.min(2, devicePixelRatio);
    const w = this.host.clientWidth;
    const h = this.host.clientHeight;
    if (this.canvas.width !== Math.round(w * dpr) || this.canvas.height !== Math.round(h * dpr)) {
      this.canvas.width = Math.round(w * dpr);
      this.canvas.height = Math.round(h * dpr);
      this.canvas.style.width = `${w}px`;
      this.canvas.style.height = `${h}px`;
    }
    pen.setTransform(dpr, 0, 0, dpr, 0, 0);
    pen.clearRect(0, 0, w, h);
    const span = this.to - this.from;
    const x = (t: number): number => ((t - this.from) / span) * w;
    const floor = h - 15;
    pen.font = FONT;
    pen.textBaseline = 'alphabetic';
    pen.textAlign = 'center';
    const step =
      [60_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000].find(
        (s) => (s / span) * w > 84,
      ) ?? 86_400_000;
    for (let t = Math.ceil(this.from / step) * step; t < this.to; t += step) {
      pen.fillStyle = css(look.line);
      pen.fillRect(Math.round(x(t)), 0, 1, floor);
      pen.fillStyle = css(look.ink);
      if (x(t) > 20 && x(t) < w - 34) pen.fillText(when(t, this.to), x(t), h - 3);
    }
    const top = Math.max(1e-9, ...data.rate) * 1.12;
    const y = (v: number): number => floor - (v / top) * (floor - 4);
    if (data.times.length > 1) {
      pen.beginPath();
      pen.moveTo(x(data.times[0]!), floor);
      data.times.forEach((t, i) => pen.lineTo(x(t), y(data.rate[i]!)));
      pen.lineTo(x(data.times[data.times.length - 1]!), floor);
      pen.fillStyle = css(alpha(look.ok, 0.13));
      pen.fill();
      pen.beginPath();
      data.times.forEach((t, i) => pen.lineTo(x(t), y(data.rate[i]!)));
      pen.strokeStyle = css(alpha(look.ok, 0.9));
      pen.lineWidth = 1.2;
      pen.stroke();
      // The bars' height goes by the root of their share of the rate, since one error in a hundred must be seen.
      const width = Math.max(1.2, (w / data.times.length) * 0.55);
      data.times.forEach((t, i) => {
        const rate = Math.max(1e-9, data.rate[i]!);
        const height = (v: number): number =>
          v / rate < 0.001 ? 0 : (floor - 4) * Math.min(0.9, Math.sqrt(v / rate) * 0.9);
        const bad = height(data.errors[i]!);
        const refused = height(data.throttled[i]!);
        if (refused > 0) {
          pen.fillStyle = css(alpha(look.throttled, 0.75));
          pen.fillRect(x(t) - width / 2, floor - refused, width, refused);
        }
        if (bad > 0) {
          pen.fillStyle = css(look.failing);
          pen.fillRect(x(t) - width / 2, floor - bad, width * 0.6, bad);
        }
      });
    }
    pen.fillStyle = css(look.line);
    pen.fillRect(0, floor, w, 1);
    this.drawMarks(floor);
    const brush =
      this.drag === undefined
        ? this.chosen
        : { from: Math.min(this.drag.start, this.drag.at), to: Math.max(this.drag.start, this.drag.at) };
    if (brush !== undefined) {
      const a = x(brush.from);
      const b = Math.max(a + 2, x(brush.to));
      pen.fillStyle = css(alpha(look.accent, 0.18));
      pen.fillRect(a, 0, b - a, floor);
      pen.fillStyle = css(look.accent);
      pen.fillRect(a, 0, 1.5, floor);
      pen.fillRect(b - 1.5, 0, 1.5, floor);
    } else {
      pen.fillStyle = css(look.accent);
      pen.fillRect(w - 2, 0, 2, floor);
    }
    if (this.hover !== undefined) {
      const hx = x(this.hover);
      pen.fillStyle = css(alpha(look.ink2, 0.7));
      pen.fillRect(hx, 0, 1, floor);
      pen.textAlign = hx > w - 60 ? 'right' : hx < 60 ? 'left' : 'center';
      pen.fillStyle = css(look.ink2);
      pen.fillText(clock(this.hover), hx, 10);
    }
  }

  /** A diamond for what happened, larger where it is more than one thing, with a line down to its time. */
  private drawMarks(floor: number): void {
    const { pen, look } = this;
    for (const m of this.marks) {
      const x = Math.round(this.xOf(m.time)) + 0.5;
      const color = look.events[m.tone];
      const size = (m.events.length > 1 ? 5 : 3.8) + (m === this.pointed ? 1.2 : 0);
      pen.fillStyle = css(alpha(color, 0.28));
      pen.fillRect(x - 0.5, MARK_Y, 1, floor - MARK_Y);
      pen.beginPath();
      pen.moveTo(x, MARK_Y - size);
      pen.lineTo(x + size, MARK_Y);
      pen.lineTo(x, MARK_Y + size);
      pen.lineTo(x - size, MARK_Y);
      pen.closePath();
      pen.fillStyle = css(color);
      pen.fill();
    }
  }
}
