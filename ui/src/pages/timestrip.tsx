import { useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { promRange } from '../api/client';
import { when } from '../base/format';
import { TrafficStrip, type Traffic } from '../chart/trafficstrip';
import { meshRate, stepFor } from '../model/queries';
import { Icon } from '../widgets/parts';
import { useQuery } from '../widgets/query';
import { patch, range } from '../widgets/route';
import { colors } from '../widgets/theme';

const SPANS = { '1h': 3_600_000, '6h': 21_600_000, '24h': 86_400_000 } as const;
type Span = keyof typeof SPANS;

interface Recorded {
  from: number;
  to: number;
  data: Traffic;
}

async function ask(
  ms: number,
  around: { from: number; to: number } | undefined,
  signal: AbortSignal,
): Promise<Recorded> {
  const now = Date.now();
  const to =
    around === undefined || around.from > now - ms ? now : Math.min(now, (around.from + around.to) / 2 + ms / 2);
  const from = to - ms;
  const step = stepFor(ms, 180);
  const a = Math.ceil(from / 1000 / step) * step;
  const b = Math.floor(to / 1000 / step) * step;
  const series = await promRange(meshRate(`${Math.max(60, step)}s`), { from: a * 1000, to: b * 1000 }, step, signal);
  const n = Math.max(0, Math.floor((b - a) / step) + 1);
  const data: Traffic = {
    times: Array.from({ length: n }, (_, i) => (a + i * step) * 1000),
    rate: new Array<number>(n).fill(0),
    errors: new Array<number>(n).fill(0),
    throttled: new Array<number>(n).fill(0),
  };
  for (const s of series) {
    const outcome = s.metric.outcome;
    for (const [t, v] of s.values) {
      const i = Math.round((t - a) / step);
      if (i < 0 || i >= n || !Number.isFinite(v)) continue;
      data.rate[i] = data.rate[i]! + v;
      if (outcome === 'error') data.errors[i] = data.errors[i]! + v;
      if (outcome === 'throttled') data.throttled[i] = data.throttled[i]! + v;
    }
  }
  return { from, to, data };
}

/** The strip at the foot of the map: the mesh over time, and the way into the past. */
export function TimeStrip(): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const strip = useRef<TrafficStrip | undefined>(undefined);
  const [span, setSpan] = useState<Span>('1h');
  const r = range.value;
  const q = useQuery(
    `${span}|${r === undefined ? 'live' : `${r.from}`}`,
    (s) => ask(SPANS[span], r, s),
    r === undefined ? 10_000 : 0,
  );
  const kept = useRef<Recorded | undefined>(undefined);
  kept.current = q.data ?? kept.current;

  const paint = (): void => {
    const recorded = kept.current;
    const c = colors();
    strip.current?.set(
      recorded?.data ?? { times: [], rate: [], errors: [], throttled: [] },
      recorded?.from ?? Date.now() - SPANS[span],
      recorded?.to ?? Date.now(),
      range.value,
      {
        ink: c.ink3,
        ink2: c.ink2,
        line: c.rule,
        ok: c.ok,
        failing: c.failing,
        throttled: c.throttled,
        accent: c.accent,
      },
    );
  };
  useEffect(() => {
    if (host.current === null) return;
    const b = new TrafficStrip(
      host.current,
      {
        ink: colors().ink3,
        ink2: colors().ink2,
        line: colors().rule,
        ok: colors().ok,
        failing: colors().failing,
        throttled: colors().throttled,
        accent: colors().accent,
      },
      (from, to) => patch({ from: String(from), to: String(to) }, false),
    );
    strip.current = b;
    return () => b.dispose();
  }, []);
  useEffect(paint, [q.data, r, span]);
  useSignalEffect(paint);

  return (
    <div class={`strip ${r === undefined ? '' : 'past'}`}>
      <div class="strip-side">
        {r === undefined ? (
          <span class="live-word">
            <i /> Live
          </span>
        ) : (
          <button
            type="button"
            class="back-live"
            onClick={() => patch({ from: undefined, to: undefined }, false)}
            title="Back to live"
          >
            <Icon name="history" /> Live
          </button>
        )}
        <small>
          {r === undefined ? 'drag to look back' : `${when(r.from, Date.now())} – ${when(r.to, Date.now())}`}
        </small>
      </div>
      <div
        ref={host}
        class="strip-chart"
        aria-label="Traffic of the whole mesh over time; drag to choose a past range"
        role="img"
      />
      <div class="strip-spans" role="radiogroup" aria-label="How far back">
        {(Object.keys(SPANS) as Span[]).map((s) => (
          <button type="button" key={s} role="radio" aria-checked={s === span} onClick={() => setSpan(s)}>
            {s}
          </button>
        ))}
      </div>
    </div>
  );
}
