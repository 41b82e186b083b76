import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { fetchTrace } from '../api/client';
import type { Attributes, AttributeValue, RequestLog, Span, Unread } from '../api/types';
import { css } from '../base/color';
import { clockMillis, duration, when } from '../base/format';
import { hash32 } from '../base/hash';
import { buildTree, searchRows, selfTime, visibleRows, type TraceTree } from '../model/trace';
import { Overview } from '../timeline/overview';
import { Waterfall, type WaterfallPalette } from '../timeline/waterfall';
import { useKeys } from '../widgets/keys';
import { Icon, Link } from '../widgets/parts';
import { useQuery } from '../widgets/query';
import { param, patch } from '../widgets/route';
import { Failure, Incomplete, Loading } from '../widgets/states';
import { colors, serviceColors } from '../widgets/theme';

export function TracePage(p: { id: string }): JSX.Element {
  const q = useQuery(p.id, async (s) => {
    const trace = await fetchTrace(p.id, s);
    return { tree: buildTree(trace), incomplete: trace.incomplete };
  });
  if (q.error !== undefined && q.data === undefined)
    return (
      <div class="page">
        <Failure title="This trace could not be had" error={q.error.message} retry={q.retry} />
      </div>
    );
  if (q.data === undefined)
    return (
      <div class="page">
        <Loading what="Fetching the trace." />
      </div>
    );
  if (q.data.tree.rows.length === 0)
    return (
      <div class="page">
        <Failure title="An empty trace" error="The trace is known, but none of its spans is stored." />
      </div>
    );
  return <TraceView tree={q.data.tree} incomplete={q.data.incomplete} />;
}

/** The same service has the same colour in every trace: chosen by its name, not by its order. */
function tracePalette(tree: TraceTree): WaterfallPalette {
  const c = colors();
  const hues = serviceColors();
  return {
    back: c.page,
    stripe: c.panel,
    line: c.rule,
    ink: c.ink,
    ink2: c.ink2,
    ink3: c.ink3,
    accent: c.accent,
    failing: c.failing,
    hover: c.hover,
    services: tree.services.map((s) => hues[hash32(s) % hues.length]!),
  };
}

function TraceView(p: { tree: TraceTree; incomplete: readonly Unread[] }): JSX.Element {
  const { tree } = p;
  const host = useRef<HTMLDivElement>(null);
  const strip = useRef<HTMLDivElement>(null);
  const fall = useRef<Waterfall | undefined>(undefined);
  const over = useRef<Overview | undefined>(undefined);
  const input = useRef<HTMLInputElement>(null);
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set());
  const text = param('q') ?? '';
  const spanId = param('span');
  const selected = useMemo(
    () => (spanId === undefined ? -1 : tree.rows.findIndex((s) => s.span_id === spanId)),
    [tree, spanId],
  );
  const rows = useMemo(() => visibleRows(tree, collapsed), [tree, collapsed]);
  const matches = useMemo(() => searchRows(tree, text), [tree, text]);
  const matchSet = useMemo(() => new Set(matches), [matches]);
  const c = colors();
  const palette = tracePalette(tree);
  const root = tree.rows[0]!;

  const choose = (row: number): void => patch({ span: tree.rows[row]?.span_id });
  const toggle = (row: number): void =>
    setCollapsed((was) => {
      const next = new Set(was);
      if (!next.delete(row)) next.add(row);
      return next;
    });
  const handlers = useRef({ choose, toggle });
  handlers.current = { choose, toggle };

  useEffect(() => {
    if (host.current === null || strip.current === null) return;
    const o = new Overview(strip.current, palette, (a, b) => fall.current?.setView(a, b));
    const w = new Waterfall(host.current, palette, {
      select: (row) => handlers.current.choose(row),
      toggle: (row) => handlers.current.toggle(row),
      view: (a, b) => o.setView(a, b),
    });
    fall.current = w;
    over.current = o;
    o.setTree(tree);
    return () => {
      w.dispose();
      o.dispose();
    };
  }, [tree]);
  useEffect(() => {
    fall.current?.setPalette(palette);
    over.current?.setPalette(palette);
  }, [c, tree]);
  useEffect(() => fall.current?.setTree(tree, rows, collapsed), [tree, rows, collapsed]);
  useEffect(() => fall.current?.setMarks(selected, matchSet), [selected, matchSet, tree]);
  useEffect(() => {
    if (selected >= 0) fall.current?.reveal(selected);
  }, [selected, rows]);

  const reach = (row: number): void => {
    // A match may lie in a folded subtree: open the way to it.
    setCollapsed((was) => {
      const next = new Set(was);
      for (let at = tree.parent[row]!; at >= 0; at = tree.parent[at]!) next.delete(at);
      return next.size === was.size ? was : next;
    });
    choose(row);
  };
  const walk = (by: number): void => {
    const at = rows.indexOf(selected);
    choose(rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))]!);
  };
  const hop = (list: readonly number[], by: number): void => {
    if (list.length === 0) return;
    const next =
      by > 0
        ? (list.find((r) => r > selected) ?? list[0])
        : ([...list].reverse().find((r) => r < selected) ?? list[list.length - 1]);
    if (next !== undefined) reach(next);
  };
  const look = (from: number, to: number): void => {
    fall.current?.setView(from, to);
    over.current?.setView(fall.current?.from ?? from, fall.current?.to ?? to);
  };
  const path = useMemo(() => [...tree.critical.keys()].sort((a, b) => a - b), [tree]);
  useKeys({
    ArrowDown: () => walk(1),
    ArrowUp: () => walk(-1),
    PageDown: () => walk(20),
    PageUp: () => walk(-20),
    Home: () => choose(rows[0]!),
    End: () => choose(rows[rows.length - 1]!),
    ArrowLeft: () => {
      if (selected < 0) return;
      if (tree.end[selected]! > selected + 1 && !collapsed.has(selected)) toggle(selected);
      else if (tree.parent[selected]! >= 0) choose(tree.parent[selected]!);
    },
    ArrowRight: () => {
      if (selected < 0) return;
      if (collapsed.has(selected)) toggle(selected);
      else if (tree.end[selected]! > selected + 1) choose(selected + 1);
    },
    Enter: () => {
      const s = tree.rows[selected];
      if (s !== undefined) look(s.start - s.duration * 0.05, s.start + s.duration * 1.05);
    },
    0: () => look(0, tree.duration),
    c: () => hop(path, 1),
    n: () => hop(matches, 1),
    N: () => hop(matches, -1),
    '/': () => input.current?.focus(),
    Escape: () => patch({ span: undefined }),
  });

  const errors = tree.rows.reduce((n, s) => n + Number(s.status === 'error'), 0);
  const span = tree.rows[selected];
  // The date, empty where it is today's; the time of day stands beside it, to the millisecond.
  const day = when(tree.trace.start, Date.now()).slice(0, -5);
  return (
    <div class={`trace ${span === undefined ? '' : 'with-panel'}`}>
      <header class="page-head">
        <div>
          <p class="over">
            <Link to="/traces" params={{}}>
              Traces
            </Link>{' '}
            · {day}
            {clockMillis(tree.trace.start)} · <code>{tree.trace.trace_id}</code>
          </p>
          <h1>
            <span class={`mark mark-${errors > 0 ? 'failing' : 'ok'}`} /> {root.service}{' '}
            <span class="light">{root.name}</span>
          </h1>
          <Incomplete of={p.incomplete} />
        </div>
        <div class="figures">
          <div class="big">
            <b>{duration(tree.trace.duration)}</b>
            <span>duration</span>
          </div>
          <div class="big">
            <b>{tree.rows.length.toLocaleString('en')}</b>
            <span>spans</span>
          </div>
          <div class={`big ${errors > 0 ? 'text-failing' : ''}`}>
            <b>{errors}</b>
            <span>errors</span>
          </div>
          <div class="big text-accent">
            <b>{path.length}</b>
            <span>critical</span>
          </div>
        </div>
        <div class="head-actions">
          <label class="search-field small">
            <Icon name="search" />
            <input
              ref={input}
              value={text}
              placeholder="Search this trace"
              aria-label="Search this trace"
              onInput={(e) => patch({ q: e.currentTarget.value })}
              onKeyDown={(e) => {
                if (e.key === 'Enter') hop(matches, e.shiftKey ? -1 : 1);
              }}
            />
            {text === '' ? <kbd>/</kbd> : <small>{matches.length}</small>}
          </label>
          <button
            type="button"
            class="button"
            onClick={() =>
              setCollapsed(
                new Set(tree.rows.flatMap((_, r) => (tree.depth[r] === 1 && tree.end[r]! > r + 1 ? [r] : []))),
              )
            }
          >
            Fold
          </button>
          <button type="button" class="button" onClick={() => setCollapsed(new Set())}>
            Unfold
          </button>
        </div>
      </header>
      <Legend tree={tree} palette={palette} />
      <div ref={strip} class="overview" />
      <div class="trace-body">
        <div
          ref={host}
          class="waterfall"
          tabIndex={0}
          role="application"
          aria-label="Waterfall. Up and down select spans, left and right fold, Enter looks at one."
        />
        {span === undefined ? null : <SpanPanel tree={tree} row={selected} span={span} />}
      </div>
    </div>
  );
}

function Legend(p: { tree: TraceTree; palette: WaterfallPalette }): JSX.Element {
  const own = useMemo(() => {
    const sum = new Array<number>(p.tree.services.length).fill(0);
    for (const [row, parts] of p.tree.critical)
      sum[p.tree.serviceOf[row]!]! += parts.reduce((n, x) => n + x.to - x.from, 0);
    return sum;
  }, [p.tree]);
  const order = p.tree.services.map((_, i) => i).sort((a, b) => own[b]! - own[a]!);
  return (
    <div class="legend" title="Where the time on the critical path went">
      <span class="legend-bar">
        {order.map((i) =>
          own[i]! > 0 ? <i key={i} style={{ flexGrow: own[i]!, background: css(p.palette.services[i]!) }} /> : null,
        )}
      </span>
      {order.slice(0, 9).map((i) => (
        <button type="button" key={i} onClick={() => patch({ q: p.tree.services[i] })}>
          <i style={{ background: css(p.palette.services[i]!) }} />
          {p.tree.services[i]} <b>{duration(own[i])}</b>
        </button>
      ))}
    </div>
  );
}

function SpanPanel(p: { tree: TraceTree; row: number; span: Span }): JSX.Element {
  const { span: s, tree } = p;
  const onPath = (tree.critical.get(p.row) ?? []).reduce((n, x) => n + x.to - x.from, 0);
  const requests = tree.trace.requests.filter((r) => near(r, s));
  return (
    <aside class="panel span-panel" aria-label="Span">
      <button type="button" class="panel-close" aria-label="Close" onClick={() => patch({ span: undefined })}>
        <Icon name="close" />
      </button>
      <header class="panel-head">
        <p class="over">{[s.namespace, s.kind, s.version].filter((x) => x !== '').join(' · ')}</p>
        <h2>
          <span class={`mark mark-${s.status === 'error' ? 'failing' : 'ok'}`} /> {s.service}
        </h2>
        <p>{s.name}</p>
        {s.status_message === '' ? null : <p class="notice bad">{s.status_message}</p>}
        {tree.orphan[p.row] === 1 ? (
          <p class="notice">Its parent {s.parent_span_id} is not in this trace: it was not sent, or not yet.</p>
        ) : null}
      </header>
      <dl class="quad">
        <div>
          <dt>starts</dt>
          <dd>{duration(s.start)}</dd>
        </div>
        <div>
          <dt>lasts</dt>
          <dd>{duration(s.duration)}</dd>
        </div>
        <div>
          <dt>own time</dt>
          <dd>{duration(selfTime(tree, p.row))}</dd>
        </div>
        <div>
          <dt>critical</dt>
          <dd class="text-accent">{duration(onPath)}</dd>
        </div>
      </dl>
      <Table title="Attributes" of={s.attributes} search />
      {s.events.length === 0 ? null : (
        <section>
          <h3>Events</h3>
          {s.events.map((e, i) => (
            <details key={i} open={s.events.length < 4}>
              <summary>
                <span class="num">{duration(e.time)}</span> {e.name}
              </summary>
              <Rows of={e.attributes} />
            </details>
          ))}
        </section>
      )}
      {s.links.length === 0 ? null : (
        <section>
          <h3>Links</h3>
          {s.links.map((l) => (
            <p key={l.span_id}>
              <Link to={`/trace/${l.trace_id}`} params={{ span: l.span_id }}>
                <code>{l.trace_id}</code>
              </Link>
            </p>
          ))}
        </section>
      )}
      {requests.length === 0 ? null : (
        <section>
          <h3>Proxy logs</h3>
          <table class="logs">
            <tbody>
              {requests.map((r, i) => (
                <tr key={i}>
                  <td>{r.side}</td>
                  <td>
                    {r.service} → {r.target}
                  </td>
                  <td>
                    {r.method} {r.path}
                  </td>
                  <td class={`num ${r.code >= 500 ? 'bad' : ''}`}>{r.code}</td>
                  <td class="num">{r.flags}</td>
                  <td class="num">{duration(r.duration)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <Table title="Resource" of={s.resource} />
      <p class="dim ids">
        span <code>{s.span_id}</code>
        {s.parent_span_id === '' ? (
          ''
        ) : (
          <>
            {' '}
            · parent{' '}
            <button type="button" class="linkish" onClick={() => patch({ span: s.parent_span_id })}>
              <code>{s.parent_span_id}</code>
            </button>
          </>
        )}
      </p>
    </aside>
  );
}

/** A log entry of this span's hop: the same callee at the same time. */
function near(r: RequestLog, s: Span): boolean {
  return (
    (r.target === s.service || r.service === s.service) &&
    r.start < s.start + s.duration &&
    r.start + r.duration > s.start &&
    Math.abs(r.start - s.start) < Math.max(5, s.duration * 0.3)
  );
}

function Table(p: { title: string; of: Attributes; search?: boolean }): JSX.Element | null {
  return Object.keys(p.of).length === 0 ? null : (
    <section>
      <h3>{p.title}</h3>
      <Rows of={p.of} search={p.search ?? false} />
    </section>
  );
}

function Rows(p: { of: Attributes; search?: boolean }): JSX.Element {
  return (
    <table class="attributes-table">
      <tbody>
        {Object.entries(p.of)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([k, v]) => (
            <tr key={k}>
              <th>{k}</th>
              <td>
                {p.search === true && typeof v !== 'object' ? (
                  <Link to="/traces" params={{ attribute: `${k}=${String(v)}` }} title="Traces with this attribute">
                    {show(v)}
                  </Link>
                ) : (
                  show(v)
                )}
              </td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}

function show(v: AttributeValue): string {
  return Array.isArray(v) ? v.map(show).join(', ') : String(v);
}
