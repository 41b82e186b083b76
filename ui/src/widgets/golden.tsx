import type { JSX } from 'preact';
import { promRange, type PromSeries } from '../api/client';
import type { Exemplar } from '../api/types';
import { count, duration, rate } from '../base/format';
import type { ChartData, Line } from '../chart/chart';
import { golden, stepFor } from '../model/queries';
import { Plot } from './plot';
import { useQuery } from './query';
import { chartRange, go, href, patch, range, last } from './route';
import { colors } from './theme';

// The golden signals of a selector, four charts. Asked as six queries at once, every few seconds while live.

interface Golden {
  from: number;
  to: number;
  times: number[];
  ok: (number | null)[];
  error: (number | null)[];
  throttled: (number | null)[];
  p50: (number | null)[];
  p90: (number | null)[];
  p99: (number | null)[];
  inFlight: (number | null)[];
}

async function ask(select: string, signal: AbortSignal): Promise<Golden> {
  const { from, to } = chartRange(Date.now());
  const step = stepFor(to - from, 150);
  // On multiples of the step, so that points do not wander as time goes on.
  const a = Math.floor(from / 1000 / step) * step;
  const b = Math.floor(to / 1000 / step) * step;
  const q = golden(select, `${Math.max(60, step * 2)}s`);
  const get = (query: string): Promise<PromSeries[]> =>
    promRange(query, { from: a * 1000, to: b * 1000 }, step, signal);
  const [rates, p50, p90, p99, inFlight] = await Promise.all([
    get(q.rate),
    get(q.p50),
    get(q.p90),
    get(q.p99),
    get(q.inFlight),
  ]);
  const times = Array.from({ length: Math.floor((b - a) / step) + 1 }, (_, i) => a + i * step);
  const on = (s: PromSeries | undefined): (number | null)[] => align(times, s, step);
  const outcome = (name: string): (number | null)[] => on(rates.find((s) => s.metric.outcome === name));
  return {
    from,
    to,
    times,
    ok: outcome('ok'),
    error: outcome('error'),
    throttled: outcome('throttled'),
    p50: on(p50[0]),
    p90: on(p90[0]),
    p99: on(p99[0]),
    inFlight: on(inFlight[0]),
  };
}

function align(times: readonly number[], s: PromSeries | undefined, step: number): (number | null)[] {
  const out = new Array<number | null>(times.length).fill(null);
  const first = times[0] ?? 0;
  for (const [t, v] of s?.values ?? []) {
    const i = Math.round((t - first) / step);
    if (i >= 0 && i < out.length && Number.isFinite(v)) out[i] = v;
  }
  return out;
}

export function GoldenSignals(p: {
  select: string;
  exemplars: readonly Exemplar[];
  height?: number;
  wide?: boolean;
}): JSX.Element {
  const r = range.value;
  const key = `${p.select}|${r === undefined ? last.value.name : `${r.from}-${r.to}`}`;
  const q = useQuery(key, (s) => ask(p.select, s), r === undefined ? 5000 : 0);
  const c = colors();
  const g = q.data;
  const height = p.height ?? 104;
  if (g === undefined) {
    return q.error === undefined ? (
      <div class={p.wide === true ? 'golden wide' : 'golden'} aria-busy="true">
        {['Rate', 'Errors', 'Latency', 'Saturation'].map((t) => (
          <div key={t} class="plot skeleton" style={{ height: `${height + 26}px` }} />
        ))}
      </div>
    ) : (
      <p class="inline-error" role="alert">
        The charts could not be had: {q.error.message}{' '}
        <button type="button" onClick={q.retry}>
          Try again
        </button>
      </p>
    );
  }
  const data = (lines: Line[], marks: ChartData['marks'] = []): ChartData => ({ times: g.times, lines, marks });
  const some = (v: (number | null)[]): boolean => v.some((x) => x !== null && x > 0);
  const share = g.times.map((_, i) => {
    const all = (g.ok[i] ?? 0) + (g.error[i] ?? 0) + (g.throttled[i] ?? 0);
    return all > 0 ? (100 * (g.error[i] ?? 0)) / all : null;
  });
  const zoom = (a: number, b: number): void => patch({ from: String(Math.round(a)), to: String(Math.round(b)) }, false);
  const common = { from: g.from, to: g.to, height, onRange: zoom };
  const marks = p.exemplars
    .filter((e) => e.time >= g.from && e.time <= g.to)
    .map((e) => ({ time: e.time / 1000, value: e.duration, color: e.error ? c.failing : c.accent, id: e.trace_id }));
  return (
    <div class={p.wide === true ? 'golden wide' : 'golden'}>
      <Plot
        {...common}
        title="Rate"
        format={rate}
        data={data([
          ...(some(g.throttled) ? [{ label: 'throttled', color: c.throttled, area: true, values: g.throttled }] : []),
          ...(some(g.error) ? [{ label: 'errors', color: c.failing, area: true, values: g.error }] : []),
          { label: 'ok', color: c.ok, area: true, values: g.ok },
        ])}
      />
      <Plot
        {...common}
        title="Errors"
        format={(v) => `${v < 10 ? Math.round(v * 10) / 10 : Math.round(v)} %`}
        data={data([{ label: 'of requests', color: c.failing, area: true, values: share }])}
      />
      <Plot
        {...common}
        title="Latency"
        format={(v) => duration(v)}
        onMark={(id) => go(href(`/trace/${id}`))}
        data={data(
          [
            { label: 'p50', color: c.ok, dashed: true, values: g.p50 },
            { label: 'p90', color: c.ink3, quiet: true, values: g.p90 },
            { label: 'p99', color: c.degraded, values: g.p99 },
          ],
          marks,
        )}
      />
      <Plot
        {...common}
        title="Saturation"
        format={(v) => count(Math.round(v * 100) / 100)}
        data={data([{ label: 'in flight', color: c.ok, area: true, values: g.inFlight }])}
      />
    </div>
  );
}
