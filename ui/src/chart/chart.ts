import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { alpha, css, type RGBA } from '../base/color';

// All that is asked of uPlot, in one place: one look, stacked areas, exemplars as diamonds, a cursor shared by all charts of a page.

export interface Line {
  label: string;
  color: RGBA;
  /** Filled to the next line below, as in a stack; else a plain line. */
  area?: boolean;
  dashed?: boolean;
  /** Drawn, but not named in the heading. */
  quiet?: boolean;
  values: (number | null)[];
}

export interface Mark {
  time: number;
  value: number;
  color: RGBA;
  id: string;
}

export interface ChartData {
  /** Unix seconds. */
  times: number[];
  lines: Line[];
  marks: Mark[];
}

export interface ChartLook {
  ink: RGBA;
  line: RGBA;
  accent: RGBA;
}

export interface ChartEvents {
  /** The index under the cursor, or undefined when it leaves. */
  cursor: (index: number | undefined) => void;
  mark: (id: string) => void;
  range: (from: number, to: number) => void;
}

const FONT = '11px ui-sans-serif, "Inter", "Segoe UI", system-ui, "Liberation Sans", sans-serif';

export class Chart {
  private plot: uPlot | undefined;
  private shape = '';
  private data: ChartData = { times: [], lines: [], marks: [] };
  private readonly resizing: ResizeObserver;

  constructor(
    private readonly host: HTMLElement,
    private look: ChartLook,
    private readonly format: (v: number) => string,
    private readonly events: ChartEvents,
    private readonly height: number,
  ) {
    this.resizing = new ResizeObserver(() => this.plot?.setSize({ width: this.host.clientWidth, height: this.height }));
    this.resizing.observe(host);
  }

  dispose(): void {
    this.resizing.disconnect();
    this.plot?.destroy();
  }

  set(data: ChartData, look: ChartLook, from: number, to: number): void {
    this.data = data;
    const shape = JSON.stringify([data.lines.map((l) => [l.label, l.color, l.area, l.dashed]), look]);
    this.look = look;
    if (this.plot === undefined || shape !== this.shape) {
      this.plot?.destroy();
      this.shape = shape;
      this.plot = this.make(data.lines);
    }
    this.plot.batch(() => {
      this.plot?.setData([data.times, ...stackUp(data.lines)], false);
      this.plot?.setScale('x', { min: from, max: to });
    });
  }

  private make(lines: readonly Line[]): uPlot {
    const ink = css(this.look.ink);
    const grid = { stroke: css(this.look.line), width: 1 };
    const axis = { stroke: ink, font: FONT, ticks: { show: false }, grid };
    const options: uPlot.Options = {
      width: Math.max(50, this.host.clientWidth),
      height: this.height,
      legend: { show: false },
      padding: [8, 4, 0, 0],
      cursor: {
        sync: { key: 'binnacle', setSeries: false },
        points: { size: 6, fill: (_u, i) => css(lines[i - 1]?.color ?? this.look.ink) },
        drag: { x: true, y: false, setScale: false },
        y: false,
      },
      scales: {
        x: { time: true },
        y: {
          range: (_u, _min, max) => [
            0,
            niceTop(
              Math.max(
                max,
                this.data.marks.reduce((m, k) => Math.max(m, k.value), 0),
              ),
            ),
          ],
        },
      },
      axes: [
        { ...axis, size: 24, space: 70, values: (_u, ts) => ts.map((t) => hourMinute(t)), grid: { show: false } },
        { ...axis, size: 54, space: Math.min(34, this.height / 4), values: (_u, vs) => vs.map((v) => this.format(v)) },
      ],
      series: [
        {},
        ...lines.map((l): uPlot.Series => ({
          label: l.label,
          stroke: css(l.color),
          width: l.area === true ? 1.2 : 1.6,
          ...(l.area === true ? { fill: css(alpha(l.color, 0.22)) } : {}),
          ...(l.dashed === true ? { dash: [4, 4] } : {}),
          points: { show: false },
          spanGaps: false,
        })),
      ],
      bands: lines.flatMap((l, i) =>
        l.area === true && lines[i + 1]?.area === true ? [{ series: [i + 1, i + 2] as [number, number] }] : [],
      ),
      hooks: {
        setCursor: [(u) => this.events.cursor(u.cursor.idx ?? undefined)],
        draw: [(u) => this.drawMarks(u)],
        setSelect: [
          (u) => {
            if (u.select.width > 6)
              this.events.range(
                u.posToVal(u.select.left, 'x') * 1000,
                u.posToVal(u.select.left + u.select.width, 'x') * 1000,
              );
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    };
    const plot = new uPlot(options, [[], ...lines.map(() => [])], this.host);
    plot.over.addEventListener('click', (e) => {
      const near = this.markNear(plot, e.offsetX, e.offsetY);
      if (near !== undefined) this.events.mark(near.id);
    });
    plot.over.addEventListener('pointermove', (e) => {
      plot.over.style.cursor = this.markNear(plot, e.offsetX, e.offsetY) === undefined ? '' : 'pointer';
    });
    return plot;
  }

  private markNear(u: uPlot, x: number, y: number): Mark | undefined {
    return this.data.marks.find((m) => Math.hypot(u.valToPos(m.time, 'x') - x, u.valToPos(m.value, 'y') - y) < 9);
  }

  private drawMarks(u: uPlot): void {
    const { ctx } = u;
    const size = 4 * devicePixelRatio;
    ctx.save();
    for (const m of this.data.marks) {
      const x = u.valToPos(m.time, 'x', true);
      const y = u.valToPos(m.value, 'y', true);
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, y - size);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x, y + size);
      ctx.lineTo(x - size, y);
      ctx.closePath();
      ctx.fillStyle = css(m.color);
      ctx.fill();
    }
    ctx.restore();
  }
}

/** Areas lie on the areas after them in the list, so that the first is on top. */
function stackUp(lines: readonly Line[]): (number | null)[][] {
  return lines.map((l, i) => {
    if (l.area !== true) return l.values;
    const under = lines.slice(i + 1).filter((m) => m.area === true);
    return l.values.map((v, k) =>
      v === null && under.every((m) => (m.values[k] ?? null) === null)
        ? null
        : under.reduce((s, m) => s + (m.values[k] ?? 0), v ?? 0),
    );
  });
}

function niceTop(v: number): number {
  if (!(v > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((k) => k * power >= v * 1.04) ?? 10) * power;
}

function hourMinute(seconds: number): string {
  const d = new Date(seconds * 1000);
  const two = (n: number): string => String(n).padStart(2, '0');
  return d.getSeconds() === 0
    ? `${two(d.getHours())}:${two(d.getMinutes())}`
    : `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}
