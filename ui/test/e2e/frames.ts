import type { CDPSession, Page } from '@playwright/test';

// Main-thread work per frame, from Chromium's own tracing, and such that a display's rate does not enter.
//
// A machine without a GPU paints four frames a second, not sixty. What runs between two of its frames is then a quarter
// of a second of everything: four answers of the server parsed, fifteen moves of the mouse, timers. At sixty frames a
// second all that is spread over fifteen frames, so its sum says nothing of one. Taking only the frames' own tasks would
// leave it out altogether. What is judged is the frame as a display of 60 Hz would have it:
//
//   own    the main thread's task that produced a frame: input, animation callbacks, style, layout, paint, commit
//   rest   for each sixtieth of a second of the recording, all tasks that began in it and produced no frame
//   frame  own + rest, for each pair of the two; of these sums the 95th percentile has to keep the budget
//
// It errs on the strict side: what happens once a second, as the map's figures being set anew, is in one of sixty frames
// there but in one of four here, and a rare frame carries all the moves of the mouse since the one before.
//
// Times are CPU time of the thread (`tdur`): on a shared machine wall time also counts the time in which others had the
// core. Drawing by SwiftShader is in the GPU's process, as on a machine with a GPU, and so in neither. The sums between
// frames, CPU and wall, and the thread's load are printed beside what is judged.

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
  perSecond: number;
  /** CPU milliseconds of the main thread in a second. */
  load: number;
  own: Quantiles;
  rest: Quantiles;
  /** What is judged. */
  frame: Quantiles;
  between: { cpu: Quantiles; wall: Quantiles };
}

interface Quantiles {
  p50: number;
  p95: number;
  max: number;
}

declare global {
  interface Window {
    framesPainted: number;
  }
}

/** Counts animation frames without causing any; call before the page is opened. */
export async function countFrames(page: Page): Promise<void> {
  await page.addInitScript(() => {
    window.framesPainted = 0;
    const ask = window.requestAnimationFrame.bind(window);
    let last = -1;
    window.requestAnimationFrame = (f) =>
      ask((t) => {
        if (t !== last) window.framesPainted++;
        last = t;
        f(t);
      });
  });
}

export const framesPainted = (page: Page): Promise<number> => page.evaluate(() => window.framesPainted);

/** Enough frames for a percentile, and the time that a machine may take for them. */
const ENOUGH = 60;
const AT_LEAST_MS = 10_000;
const AT_MOST_MS = 60_000;

/**
 * Records while `step` is done again and again, until enough frames are painted. The page must have been opened after
 * countFrames.
 */
export async function measureFrames(page: Page, step: (i: number) => Promise<void>): Promise<FrameWork> {
  const cdp = await page.context().newCDPSession(page);
  const events: TraceEvent[] = [];
  cdp.on('Tracing.dataCollected', (e) => events.push(...(e.value as unknown as TraceEvent[])));
  await cdp.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: {
      includedCategories: ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline'],
      excludedCategories: ['*'],
    },
  });
  const began = Date.now();
  const before = await framesPainted(page);
  const more = async (i: number): Promise<boolean> => {
    const spent = Date.now() - began;
    if (spent < AT_LEAST_MS) return true;
    return spent < AT_MOST_MS && (i % 20 !== 0 || (await framesPainted(page)) - before < ENOUGH);
  };
  for (let i = 0; await more(i); i++) {
    await step(i);
    await page.waitForTimeout(16);
  }
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

const DISPLAY_HZ = 60;

function frameWork(events: readonly TraceEvent[]): FrameWork {
  const key = (e: TraceEvent): string => `${e.pid}/${e.tid}`;
  const fired = events.filter((e) => e.name === 'FireAnimationFrame');
  const counts = new Map<string, number>();
  for (const f of fired) counts.set(key(f), (counts.get(key(f)) ?? 0) + 1);
  const main = [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
  if (main === undefined)
    throw new Error('the trace has no animation frame: nothing was painted while it was recorded');
  const onMain = events.filter((e) => key(e) === main && e.ph === 'X');
  // The top-level tasks; their names differ between versions of Chromium.
  const name = ['RunTask', 'ThreadControllerImpl::RunTask'].find((n) => onMain.some((e) => e.name === n));
  const tasks = onMain.filter((e) => e.name === name).sort((a, b) => a.ts - b.ts);
  const callbacks = fired.filter((f) => key(f) === main).map((f) => f.ts);
  const isFrame = (t: TraceEvent): boolean => callbacks.some((at) => at >= t.ts && at <= t.ts + (t.dur ?? 0));
  const cpu = (t: TraceEvent): number => (t.tdur ?? t.dur ?? 0) / 1000;

  const own: number[] = [];
  const between = { cpu: [] as number[], wall: [] as number[] };
  const start = tasks[0]?.ts ?? 0;
  const seconds = ((tasks[tasks.length - 1]?.ts ?? 0) - start) / 1e6;
  const rest = new Array<number>(Math.floor(seconds * DISPLAY_HZ) + 1).fill(0);
  let load = 0;
  for (const t of tasks) {
    load += cpu(t);
    if (isFrame(t)) {
      own.push(cpu(t));
      between.cpu.push(0);
      between.wall.push(0);
    } else {
      const slot = Math.floor(((t.ts - start) / 1e6) * DISPLAY_HZ);
      rest[slot] = (rest[slot] ?? 0) + cpu(t);
    }
    // What follows a frame's start, up to the next one's, itself among it.
    if (own.length > 0) {
      between.cpu[own.length - 1]! += cpu(t);
      between.wall[own.length - 1]! += (t.dur ?? 0) / 1000;
    }
  }
  return {
    frames: own.length,
    perSecond: own.length / seconds,
    load: load / seconds,
    own: quantiles(own),
    rest: quantiles(rest),
    frame: quantiles(own.flatMap((o) => rest.map((r) => o + r))),
    between: { cpu: quantiles(between.cpu), wall: quantiles(between.wall) },
  };
}

function quantiles(values: readonly number[]): Quantiles {
  const v = [...values].sort((a, b) => a - b);
  const at = (q: number): number => Math.round((v[Math.min(v.length - 1, Math.floor(q * v.length))] ?? 0) * 100) / 100;
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

export function report(what: string, w: FrameWork): string {
  const q = (x: Quantiles): string => `p50 ${x.p50} ms, p95 ${x.p95} ms, max ${x.max} ms`;
  return [
    `${what}: ${w.frames} frames, ${w.perSecond.toFixed(1)} a second; the main thread works ${w.load.toFixed(0)} ms a second`,
    `  a frame's own task      ${q(w.own)}`,
    `  the rest in 1/${DISPLAY_HZ} s     ${q(w.rest)}`,
    `  a frame of ${DISPLAY_HZ} a second  ${q(w.frame)} (judged: p95)`,
    `  between two frames here CPU ${q(w.between.cpu)}; wall ${q(w.between.wall)}`,
  ].join('\n');
}
