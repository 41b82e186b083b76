import type { CDPSession, Page } from '@playwright/test';

// Main-thread work per frame, from Chromium's own tracing: the run time of all tasks of the page's main thread between
// one animation frame and the next. A display's rate does not enter, so software rendering does not distort it. The
// figure is CPU time of the thread where the trace has it (`tdur`), since on a shared machine wall time also counts
// the time in which another process had the core; wall time is reported beside it.
//
// Where so few frames come that each interval collects a second of everything else (answers parsed, timers), the sum
// says nothing of a frame. Then the frames' own tasks are judged alone: input, animation callbacks, style, layout and
// paint run in one task, the one that holds the animation frame. Both figures are always printed.

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  tdur?: number;
  args?: { name?: string };
}

export interface FrameWork {
  frames: number;
  cpu: Quantiles | undefined;
  wall: Quantiles;
  /** The tasks that held the animation frames, alone. */
  own: Quantiles;
  perSecond: number;
}

interface Quantiles {
  p50: number;
  p95: number;
  max: number;
}

export async function measureFrames(page: Page, act: () => Promise<void>): Promise<FrameWork> {
  const cdp = await page.context().newCDPSession(page);
  const events: TraceEvent[] = [];
  cdp.on('Tracing.dataCollected', (e) => events.push(...(e.value as unknown as TraceEvent[])));
  await cdp.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline'], excludedCategories: ['*'] } });
  await act();
  await finished(cdp);
  return frameWork(events);
}

async function finished(cdp: CDPSession): Promise<void> {
  const done = new Promise<void>((resolve) => {
    cdp.once('Tracing.tracingComplete', () => resolve());
  });
  await cdp.send('Tracing.end');
  await done;
  await cdp.detach();
}

function frameWork(events: readonly TraceEvent[]): FrameWork {
  const key = (e: TraceEvent): string => `${e.pid}/${e.tid}`;
  const frames = events.filter((e) => e.name === 'FireAnimationFrame');
  const counts = new Map<string, number>();
  for (const f of frames) counts.set(key(f), (counts.get(key(f)) ?? 0) + 1);
  const main = [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
  if (main === undefined) throw new Error('the trace has no animation frame: nothing was painted while it was recorded');
  const starts = frames.filter((f) => key(f) === main).map((f) => f.ts).sort((a, b) => a - b);
  const onMain = events.filter((e) => key(e) === main && e.ph === 'X');
  // The top-level tasks; their names differ between versions of Chromium.
  const name = ['RunTask', 'ThreadControllerImpl::RunTask'].find((n) => onMain.some((e) => e.name === n));
  const tasks = onMain.filter((e) => e.name === name);
  const wall = new Array<number>(Math.max(0, starts.length - 1)).fill(0);
  const cpu = new Array<number>(wall.length).fill(0);
  const own: number[] = [];
  let known = 0;
  for (const t of tasks) {
    // A frame's work is what runs from its start to the next one's.
    let lo = 0;
    let hi = starts.length;
    const mid = t.ts + (t.dur ?? 0) / 2;
    while (lo < hi) {
      const m = (lo + hi) >> 1;
      if (starts[m]! <= mid) lo = m + 1;
      else hi = m;
    }
    if (starts.some((at) => at >= t.ts && at <= t.ts + (t.dur ?? 0))) own.push((t.tdur ?? t.dur ?? 0) / 1000);
    if (lo < 1 || lo > wall.length) continue;
    wall[lo - 1] = wall[lo - 1]! + (t.dur ?? 0) / 1000;
    cpu[lo - 1] = cpu[lo - 1]! + (t.tdur ?? 0) / 1000;
    if (t.tdur !== undefined) known++;
  }
  const seconds = ((starts[starts.length - 1] ?? 0) - (starts[0] ?? 0)) / 1e6;
  return { frames: wall.length, perSecond: seconds > 0 ? wall.length / seconds : 0, own: quantiles(own), wall: quantiles(wall), cpu: known > tasks.length / 2 ? quantiles(cpu) : undefined };
}

function quantiles(values: readonly number[]): Quantiles {
  const v = [...values].sort((a, b) => a - b);
  const at = (q: number): number => Math.round((v[Math.min(v.length - 1, Math.floor(q * v.length))] ?? 0) * 100) / 100;
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

/** Frames a second under which the machine, not the page, is what is measured. */
const ENOUGH = 15;

/** The figure that must keep the budget. */
export function p95(w: FrameWork): number {
  return w.perSecond >= ENOUGH ? (w.cpu ?? w.wall).p95 : w.own.p95;
}

export function report(what: string, w: FrameWork): string {
  const q = (x: Quantiles): string => `p50 ${x.p50} ms, p95 ${x.p95} ms, max ${x.max} ms`;
  return [
    `${what}: ${w.frames} frames, ${w.perSecond.toFixed(1)} a second`,
    `  between frames ${w.cpu === undefined ? '' : `CPU ${q(w.cpu)}; `}wall ${q(w.wall)}`,
    `  the frames' own tasks ${q(w.own)}`,
    `  judged: p95 ${p95(w)} ms${w.perSecond < ENOUGH ? ' (own tasks: the machine is too busy for the sum)' : ''}`,
  ].join('\n');
}
