import { signal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { fetchEvents, promRange } from '../api/client';
import type { MeshEvent } from '../api/timetypes';
import { clock, when } from '../base/format';
import { TrafficStrip, type Traffic, type TrafficLook } from '../chart/trafficstrip';
import { marksOf, merged, type EventMark } from '../model/events';
import { meshRate, stepFor } from '../model/queries';
import { useKeys } from '../widgets/keys';
import { Icon } from '../widgets/parts';
import { useQuery } from '../widgets/query';
import { patch, range, type Range } from '../widgets/route';
import { colors } from '../widgets/theme';
import { recent, reading } from './live';

// The strip at the foot of the map: the mesh over time, what happened in it, and the ways into the past: a drag over the
// strip, the slider under it, and play, which goes on step by step.

const SPANS = { '1h': 3_600_000, '6h': 21_600_000, '24h': 86_400_000 } as const;
type Span = keyof typeof SPANS;

/** A step of the slider and of play is so much of the span. */
const STEPS = 60;
/** A step is looked at for so long before play goes on. */
const PLAY_MS = 700;
/** So many events are shown at most. */
const MOST_EVENTS = 500;

/** What happened in the time that the strip shows: the list of events reads it too. */
export const happenings = signal<{
  events: readonly MeshEvent[];
  found: number;
  from: number;
  knownSince: number;
  error: string | undefined;
}>({ events: [], found: 0, from: Date.now() - SPANS['1h'], knownSince: 0, error: undefined });

/** The time that the strip shows: up to now, unless what is looked at is longer ago. */
function reachOf(ms: number, r: Range | undefined, now: number): Range {
  if (r === undefined || r.from > now - ms) return { from: now - ms, to: now };
  // It moves by quarters, so that the strip stands still while the slider moves.
  const quarter = ms / 4;
  const middle = Math.round((r.from + r.to) / 2 / quarter) * quarter;
  const to = Math.min(now, middle + ms / 2);
  return { from: to - ms, to };
}

interface Recorded {
  reach: Range;
  data: Traffic;
}

async function askTraffic(reach: Range, signal: AbortSignal): Promise<Recorded> {
  const { from, to } = reach;
  const step = stepFor(to - from, 180);
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
  return { reach, data };
}

function look(): TrafficLook {
  const c = colors();
  return {
    ink: c.ink3,
    ink2: c.ink2,
    line: c.rule,
    ok: c.ok,
    failing: c.failing,
    throttled: c.throttled,
    accent: c.accent,
    events: {
      slow: c.degraded,
      failing: c.failing,
      throttled: c.throttled,
      cut_off: c.cutoff,
      well: c.ok,
      structure: c.ink,
    },
  };
}

function show(r: Range, replace: boolean): void {
  patch({ from: String(Math.round(r.from)), to: String(Math.round(r.to)) }, replace);
}

function live(): void {
  patch({ from: undefined, to: undefined }, false);
}

export function TimeStrip(): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const strip = useRef<TrafficStrip | undefined>(undefined);
  const [span, setSpan] = useState<Span>('1h');
  const [pointed, setPointed] = useState<{ mark: EventMark; x: number } | undefined>(undefined);
  const r = range.value;
  const now = Date.now();
  const reach = reachOf(SPANS[span], r, now);
  // What reaches up to now goes on; what does not stands still.
  const ends = reach.to >= now ? 'now' : String(reach.to);
  const again = ends !== 'now' ? 0 : r === undefined ? 10_000 : 30_000;
  const q = useQuery(`${span}|${ends}`, (s) => askTraffic(reachOf(SPANS[span], range.value, Date.now()), s), again);
  const e = useQuery(
    `${span}|${ends}`,
    async (s) => {
      const of = reachOf(SPANS[span], range.value, Date.now());
      return { of, ...(await fetchEvents(of, MOST_EVENTS, s)) };
    },
    again,
  );
  useEffect(() => {
    const of = e.data?.of ?? reach;
    const added = recent.value.filter((x) => x.time >= of.from && (ends === 'now' || x.time <= of.to));
    happenings.value = {
      events: merged(e.data?.events ?? [], added, MOST_EVENTS),
      found: Math.max(e.data?.found ?? 0, added.length),
      from: of.from,
      knownSince: e.data?.known_since ?? 0,
      error: e.data === undefined ? e.error?.message : undefined,
    };
  }, [e.data, e.error, recent.value]);

  const kept = useRef<Recorded | undefined>(undefined);
  kept.current = q.data ?? kept.current;
  const paint = (): void => {
    const recorded = kept.current;
    const of = recorded?.reach ?? reachOf(SPANS[span], range.value, Date.now());
    const marks = marksOf(happenings.value.events, (of.to - of.from) / 160);
    strip.current?.set(
      recorded?.data ?? { times: [], rate: [], errors: [], throttled: [] },
      of,
      range.value,
      marks,
      look(),
    );
  };
  useEffect(() => {
    if (host.current === null) return;
    const b = new TrafficStrip(host.current, look(), {
      choose: (from, to) => show({ from, to }, false),
      point: (mark, x) => setPointed(mark === undefined ? undefined : { mark, x }),
      open: (mark) => patch({ side: 'events', event: mark.events.at(-1)?.id, node: undefined, edge: undefined }),
    });
    strip.current = b;
    return () => b.dispose();
  }, []);
  useEffect(paint, [q.data, r, span]);
  useSignalEffect(paint);

  const of = kept.current?.reach ?? reach;
  return (
    <div class={`strip ${r === undefined ? '' : 'past'}`}>
      <div class="strip-side">
        {r === undefined ? (
          <span class="live-word">
            <i /> Live
          </span>
        ) : (
          <button type="button" class="back-live" onClick={live} title="Back to live (l)">
            <Icon name="history" /> Live
          </button>
        )}
        <Player reach={of} />
        <small>
          {r === undefined
            ? 'drag to look back'
            : reading.value
              ? 'reading…'
              : `${when(r.from, Date.now())} – ${when(r.to, Date.now())}`}
        </small>
      </div>
      <div class="strip-middle">
        <div
          ref={host}
          class="strip-chart"
          aria-label="Traffic of the whole mesh over time; drag to choose a past range"
          role="img"
        />
        <Slider reach={of} />
        {pointed === undefined ? null : <Pointed mark={pointed.mark} x={pointed.x} />}
      </div>
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

/** The slider under the strip: the end of what the map shows; at its right end is now. */
function Slider(p: { reach: Range }): JSX.Element {
  const r = range.value;
  const { from, to } = p.reach;
  const step = (to - from) / STEPS;
  const width = r === undefined ? step : r.to - r.from;
  const wanted = useRef<number | undefined>(undefined);
  const waiting = useRef(false);
  // A drag asks for hundreds of times a second: the map follows a few of them.
  const go = (): void => {
    const v = wanted.current;
    wanted.current = undefined;
    if (v === undefined) {
      waiting.current = false;
      return;
    }
    waiting.current = true;
    if (v >= to - step / 4) live();
    else show({ from: v - width, to: v }, true);
    setTimeout(go, 150);
  };
  const value = r === undefined ? to : Math.min(to, r.to);
  return (
    <input
      type="range"
      class="strip-slider"
      aria-label="The time that the map shows"
      aria-valuetext={r === undefined ? 'now' : `${clock(r.from)} to ${clock(r.to)}`}
      min={from}
      max={to}
      step={step / 4}
      value={value}
      onInput={(e) => {
        wanted.current = Number(e.currentTarget.value);
        if (!waiting.current) go();
      }}
    />
  );
}

/** Plays what the strip shows, a step after the other, from what is looked at, or from the strip's begin. */
function Player(p: { reach: Range }): JSX.Element {
  const [playing, setPlaying] = useState(false);
  const r = range.value;
  const { from, to } = p.reach;
  const step = (to - from) / STEPS;
  const move = (by: number): void => {
    const width = r === undefined ? step : r.to - r.from;
    const end = (r?.to ?? Date.now()) + by * width;
    if (end >= Date.now()) live();
    else show({ from: end - width, to: end }, true);
  };
  const toggle = (): void => {
    if (!playing && r === undefined) show({ from, to: from + step }, false);
    setPlaying(!playing);
  };
  useEffect(() => {
    if (!playing || reading.value || r === undefined) return;
    const t = setTimeout(() => {
      if (r.to + (r.to - r.from) >= Date.now()) setPlaying(false);
      move(1);
    }, PLAY_MS);
    return () => clearTimeout(t);
  }, [playing, reading.value, r?.to]);
  // Who goes back to live by another way has done with it.
  useEffect(() => {
    if (r === undefined) setPlaying(false);
  }, [r === undefined]);
  useKeys({ p: toggle, '[': () => move(-1), ']': () => move(1) });
  return (
    <button
      type="button"
      class="play"
      aria-pressed={playing}
      aria-label={playing ? 'Pause' : 'Play the past'}
      title={playing ? 'Pause (p)' : 'Play the past (p); [ and ] go by steps'}
      onClick={toggle}
    >
      <Icon name={playing ? 'pause' : 'play'} />
    </button>
  );
}

/** What happened where the pointer is. */
function Pointed(p: { mark: EventMark; x: number }): JSX.Element {
  const { events } = p.mark;
  return (
    <div class="strip-tip" style={{ left: `${p.x}px` }}>
      {events.slice(-4).map((e) => (
        <p key={e.id}>
          <time>{clock(e.time)}</time> {e.says}
        </p>
      ))}
      {events.length > 4 ? <p class="dim">and {events.length - 4} more</p> : null}
    </div>
  );
}
