import { effect, signal } from '@preact/signals';
import { fetchDiff } from '../api/client';
import type { GraphDiff } from '../api/timetypes';
import { ghostsOf } from '../model/diff';
import { param, range, type Range } from '../widgets/route';
import { graph, haunt, loaded } from './live';

// The comparison with another time: asked for while its panel is open, and put over the map. While live it is of the last
// minutes, and asked again and again.

/** How long a time is compared while live. */
const LIVE_MS = 300_000;
const AGAIN_MS = 10_000;
/** How many nodes and how many edges are asked for. */
const MOST = 500;

/** How far back the other time lies; `before` is the time of the same length that has just ended. */
export const AGAINST = { before: 0, '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 } as const;
export type Against = keyof typeof AGAINST;

export function against(): Against {
  const wanted = param('against');
  return wanted !== undefined && wanted in AGAINST ? (wanted as Against) : 'before';
}

export interface Comparison {
  diff: GraphDiff | undefined;
  error: string | undefined;
}

export const comparison = signal<Comparison>({ diff: undefined, error: undefined });

/** The range that is compared, and where the other begins. */
export function compared(r: Range | undefined, now: number, back: Against): { range: Range; start: number } {
  const of = r ?? { from: now - LIVE_MS, to: now };
  return { range: of, start: of.from - (AGAINST[back] === 0 ? of.to - of.from : AGAINST[back]) };
}

/** Follows the address; call once. */
export function followComparison(): void {
  let stop: (() => void) | undefined;
  let asked = '';
  let haunted = false;
  // What is gone is shown once there is a graph to show it in.
  effect(() => {
    const { diff } = comparison.value;
    const ghosts = diff === undefined || !loaded.value ? { nodes: [], edges: [] } : ghostsOf(diff, graph);
    const any = ghosts.nodes.length + ghosts.edges.length > 0;
    if (any || haunted) haunt(ghosts.nodes, ghosts.edges);
    haunted = any;
  });
  effect(() => {
    const on = param('side') === 'diff';
    const r = range.value;
    const back = against();
    const key = on ? `${r === undefined ? 'live' : `${r.from}-${r.to}`}|${back}` : '';
    if (key === asked) return;
    asked = key;
    stop?.();
    stop = undefined;
    set({ diff: undefined, error: undefined });
    if (!on) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      const { range: of, start } = compared(r, Date.now(), back);
      try {
        if (!document.hidden) set({ diff: await fetchDiff(of, start, MOST, abort.signal), error: undefined });
      } catch (e) {
        if (abort.signal.aborted) return;
        set({ diff: comparison.peek().diff, error: e instanceof Error ? e.message : String(e) });
      }
      if (r === undefined && !abort.signal.aborted) timer = setTimeout(() => void ask(), AGAIN_MS);
    };
    void ask();
    stop = () => {
      abort.abort();
      clearTimeout(timer);
    };
  });
}

function set(c: Comparison): void {
  const before = comparison.peek();
  if (before.diff === undefined && before.error === undefined && c.diff === undefined && c.error === undefined) return;
  comparison.value = c;
}
