import { alpha, css, type RGBA } from '../base/color';
import { clockMillis, duration } from '../base/format';
import { clamp } from '../base/geometry';
import { onFrame, type PaintHandle } from '../base/frames';

// Traces as points: when, and how long (logarithmic); as large as they have spans; filled where something failed.

export interface ScatterPoint {
  id: string;
  time: number;
  duration: number;
  size: number;
  bad: boolean;
}

export interface ScatterLook {
  ink: RGBA;
  line: RGBA;
  good: RGBA;
  bad: RGBA;
  accent: RGBA;
}

const LEFT = 58;
const BOTTOM = 22;
const FONT = '11px ui-sans-serif, "Inter", "Segoe UI", system-ui, "Liberation Sans", sans-serif';

export class Scatter {
  private readonly canvas = document.createElement('canvas');
  private readonly pen: CanvasRenderingContext2D;
  private readonly paint: PaintHandle;
  private readonly resizing: ResizeObserver;
  private points: ScatterPoint[] = [];
  private hover: string | undefined;
  private from = 0;
  private to = 1;
  private lo = 0;
  private hi = 1;

  constructor(
    private readonly host: HTMLElement,
    private look: ScatterLook,
    private readonly events: { hover: (id: string | undefined) => void; open: (id: string) => void },
  ) {
    const pen = this.canvas.getContext('2d');
    if (pen === null) throw new Error('this browser gives no 2D canvas');
    this.pen = pen;
    host.append(this.canvas);
    this.paint = onFrame(() => this.draw());
    this.resizing = new ResizeObserver(() => this.paint.now());
    this.resizing.observe(host);
    this.canvas.addEventListener('pointermove', (e) => {
      const id = this.at(e.offsetX, e.offsetY);
      this.canvas.style.cursor = id === undefined ? '' : 'pointer';
      if (id !== this.hover) {
        this.setHover(id);
        this.events.hover(id);
      }
    });
    this.canvas.addEventListener('pointerleave', () => {
      this.setHover(undefined);
      this.events.hover(undefined);
    });
    this.canvas.addEventListener('click', (e) => {
      const id = this.at(e.offsetX, e.offsetY);
      if (id !== undefined) this.events.open(id);
    });
  }

  dispose(): void {
    this.resizing.disconnect();
    this.paint.dispose();
    this.canvas.remove();
  }

  set(points: ScatterPoint[], from: number, to: number, look: ScatterLook): void {
    this.look = look;
    this.points = [...points].sort((a, b) => b.size - a.size);
    this.from = from;
    this.to = Math.max(to, from + 1);
    const logs = points.map((p) => Math.log10(Math.max(1e-3, p.duration)));
    this.lo = Math.floor(Math.min(...logs, 1) * 2) / 2;
    this.hi = Math.max(this.lo + 1, Math.ceil(Math.max(...logs, 1) * 2 + 0.2) / 2);
    this.paint.now();
  }

  setHover(id: string | undefined): void {
    this.hover = id;
    this.paint.now();
  }

  private place(p: ScatterPoint): { x: number; y: number; r: number } {
    const w = this.host.clientWidth - LEFT - 16;
    const h = this.host.clientHeight - BOTTOM - 12;
    return {
      x: LEFT + ((clamp(p.time, this.from, this.to) - this.from) / (this.to - this.from)) * w,
      y: 8 + h - ((Math.log10(Math.max(1e-3, p.duration)) - this.lo) / (this.hi - this.lo)) * h,
      r: clamp(2.4 + Math.log2(1 + p.size) * 0.75, 3, 13),
    };
  }

  private at(x: number, y: number): string | undefined {
    let best: string | undefined;
    let near = 12;
    for (const p of this.points) {
      const q = this.place(p);
      const d = Math.hypot(q.x - x, q.y - y) - q.r * 0.5;
      if (d < near) {
        near = d;
        best = p.id;
      }
    }
    return best;
  }

  private draw(): void {
    const { pen, look } = this;
    const dpr = Math.min(2, devicePixelRatio);
    const width = this.host.clientWidth;
    const height = this.host.clientHeight;
    this.canvas.width = Math.round(width * dpr);
    this.canvas.height = Math.round(height * dpr);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    pen.setTransform(dpr, 0, 0, dpr, 0, 0);
    pen.font = FONT;
    pen.textBaseline = 'middle';
    pen.textAlign = 'right';
    const h = height - BOTTOM - 12;
    for (let e = Math.ceil(this.lo); e <= this.hi; e++) {
      const y = Math.round(8 + h - ((e - this.lo) / (this.hi - this.lo)) * h);
      pen.fillStyle = css(look.line);
      pen.fillRect(LEFT, y, width - LEFT, 1);
      pen.fillStyle = css(look.ink);
      pen.fillText(duration(10 ** e), LEFT - 8, y);
    }
    pen.textAlign = 'center';
    const span = this.to - this.from;
    const digits = span < 8_000 ? 10 : span < 300_000 ? 8 : 5; // tenths of a second, seconds, minutes: no two alike
    for (let i = 0; i <= 4; i++) {
      const t = this.from + ((this.to - this.from) * i) / 4;
      const x = clamp(LEFT + ((width - LEFT - 16) * i) / 4, LEFT + 20, width - 24);
      pen.fillText(clockMillis(t).slice(0, digits), x, height - 8);
    }
    for (const p of this.points) {
      const q = this.place(p);
      pen.beginPath();
      pen.arc(q.x, q.y, q.r, 0, Math.PI * 2);
      pen.fillStyle = css(alpha(p.bad ? look.bad : look.good, p.bad ? 0.75 : 0.22));
      pen.fill();
      pen.lineWidth = 1.2;
      pen.strokeStyle = css(p.bad ? look.bad : look.good);
      pen.stroke();
      if (p.id === this.hover) {
        pen.beginPath();
        pen.arc(q.x, q.y, q.r + 4, 0, Math.PI * 2);
        pen.lineWidth = 1.6;
        pen.strokeStyle = css(look.accent);
        pen.stroke();
      }
    }
  }
}
