import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { RGBA } from '../base/color';
import { css } from '../base/color';
import { clock } from '../base/format';
import { Chart, type ChartData } from '../chart/chart';
import { colors } from './theme';

/** A chart with its heading; the heading's figures follow the cursor, or show the newest. */
export function Plot(p: {
  title: string;
  data: ChartData;
  from: number;
  to: number;
  format: (v: number) => string;
  height?: number;
  note?: ComponentChildren;
  onMark?: (id: string) => void;
  onRange?: (from: number, to: number) => void;
}): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | undefined>(undefined);
  const [at, setAt] = useState<number | undefined>(undefined);
  const c = colors();
  const look = { ink: c.ink3, line: c.rule, accent: c.accent };
  const events = useRef({ mark: p.onMark, range: p.onRange });
  events.current = { mark: p.onMark, range: p.onRange };

  useEffect(() => {
    if (host.current === null) return;
    const made = new Chart(
      host.current,
      look,
      p.format,
      {
        cursor: setAt,
        mark: (id) => events.current.mark?.(id),
        range: (a, b) => events.current.range?.(a, b),
      },
      p.height ?? 112,
    );
    chart.current = made;
    return () => made.dispose();
  }, []);

  useEffect(() => chart.current?.set(p.data, look, p.from / 1000, p.to / 1000));

  const index = at ?? lastIndex(p.data);
  const time = p.data.times[index];
  return (
    <figure class="plot">
      <figcaption>
        <span class="plot-title">{p.title}</span>
        {at !== undefined && time !== undefined ? <time>{clock(time * 1000)}</time> : null}
        <span class="plot-values">
          {p.data.lines.map((l) => {
            const v = l.values[index];
            return v === undefined || v === null || (l.quiet === true && at === undefined) ? null : (
              <Figure key={l.label} color={l.color} label={l.label} value={p.format(v)} />
            );
          })}
        </span>
      </figcaption>
      <div ref={host} class="plot-host" />
      {p.note}
    </figure>
  );
}

function Figure(p: { color: RGBA; label: string; value: string }): JSX.Element {
  return (
    <span class="figure">
      <i style={{ background: css(p.color) }} />
      {p.label} <b>{p.value}</b>
    </span>
  );
}

function lastIndex(d: ChartData): number {
  for (let i = d.times.length - 1; i >= 0; i--) if (d.lines.some((l) => (l.values[i] ?? null) !== null)) return i;
  return d.times.length - 1;
}
