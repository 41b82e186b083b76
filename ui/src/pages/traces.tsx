import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { fetchServices, fetchTraces } from '../api/client';
import type { TraceSummary } from '../api/types';
import { css } from '../base/color';
import { clockMillis, count, duration, parseDuration } from '../base/format';
import { hash32 } from '../base/hash';
import { Scatter } from '../chart/scatter';
import { Link } from '../widgets/parts';
import { useQuery } from '../widgets/query';
import { go, href, LAST_NAMES, last, param, patch, range, route } from '../widgets/route';
import { HowToSend } from '../widgets/connect';
import { Failure, Incomplete, Loading, Nothing } from '../widgets/states';
import { colors, serviceColors } from '../widgets/theme';

const FIELDS = [
  'service',
  'namespace',
  'operation',
  'kind',
  'min_duration',
  'max_duration',
  'status',
  'limit',
] as const;

export function TracesPage(): JSX.Element {
  const params = route.value.params;
  const query = new URLSearchParams();
  for (const f of FIELDS) {
    const v = params.get(f);
    if (v !== null && v !== '') query.set(f, v);
  }
  if (!query.has('limit')) query.set('limit', '100');
  for (const a of params.getAll('attribute')) query.append('attribute', a);
  const r = range.value;
  const reach = params.get('last') === null ? 3_600_000 : last.value.ms;
  const q = useQuery(`${query.toString()}|${r === undefined ? reach : `${r.from}-${r.to}`}`, async (signal) => {
    const to = r?.to ?? Date.now();
    const from = r?.from ?? to - reach;
    const full = new URLSearchParams(query);
    full.set('from', String(Math.round(from)));
    full.set('to', String(Math.round(to)));
    return { from, to, found: await fetchTraces(full, signal) };
  });
  const [hover, setHover] = useState<string | undefined>(undefined);
  const filtered = FIELDS.some((f) => f !== 'limit' && params.has(f)) || params.has('attribute');
  const traces = q.data?.found.traces ?? [];
  // As many as were asked for are the newest ones: what lies before the oldest of them is unknown, and not drawn as empty.
  const oldest = traces.reduce((m, t) => Math.min(m, t.start), Infinity);
  const whole = traces.length < Number(query.get('limit'));
  return (
    <div class="page traces">
      <Form retry={q.retry} />
      <Incomplete of={q.data?.found.incomplete ?? []} />
      {q.error !== undefined ? (
        <Failure title="The search did not come back" error={q.error.message} retry={q.retry} />
      ) : q.data === undefined ? (
        <Loading what="Searching the logbook." />
      ) : traces.length === 0 ? (
        filtered ? (
          <Nothing title="No trace answers to that">
            <p>
              {count(q.data.found.searched.spans)} spans in {q.data.found.searched.blocks} blocks were searched. Widen
              the time or drop a condition.
            </p>
          </Nothing>
        ) : (
          <Nothing title="No trace is stored for this time">
            <HowToSend />
          </Nothing>
        )
      ) : (
        <>
          <ScatterPlot
            traces={traces}
            from={whole ? q.data.from : oldest}
            to={whole ? q.data.to : traces.reduce((m, t) => Math.max(m, t.start), oldest)}
            hover={hover}
            setHover={setHover}
          />
          <p class="searched">
            {traces.length} traces, newest first · {count(q.data.found.searched.spans)} spans searched in{' '}
            {duration(q.data.found.searched.took)}
          </p>
          <List traces={traces} hover={hover} setHover={setHover} />
        </>
      )}
    </div>
  );
}

function Form(p: { retry: () => void }): JSX.Element {
  const services = useQuery('services', (s) => fetchServices(s));
  const service = param('service') ?? '';
  const attributes = route.value.params.getAll('attribute');
  const known = services.data ?? [];
  const operations = [
    ...new Set(
      known.filter((s) => service === '' || s.name === service).flatMap((s) => s.operations.map((o) => o.name)),
    ),
  ].sort();
  const set = (name: string, value: string): void => patch({ [name]: value.trim() });
  const addAttribute = (text: string): void => {
    const q = new URLSearchParams(route.value.params);
    q.append('attribute', text.trim());
    go(`/traces?${q.toString()}`);
  };
  const dropAttribute = (text: string): void => {
    const q = new URLSearchParams(route.value.params);
    const rest = q.getAll('attribute').filter((a) => a !== text);
    q.delete('attribute');
    for (const a of rest) q.append('attribute', a);
    go(`/traces?${q.toString()}`);
  };
  return (
    <form
      class="filters"
      onSubmit={(e) => {
        e.preventDefault();
        p.retry();
      }}
    >
      <Pick
        label="Service"
        name="service"
        value={service}
        options={[...new Set(known.map((s) => s.name))].sort()}
        set={(v) => patch({ service: v, operation: undefined })}
      />
      <Pick
        label="Namespace"
        name="namespace"
        value={param('namespace') ?? ''}
        options={[...new Set(known.map((s) => s.namespace))].filter((n) => n !== '').sort()}
        set={(v) => set('namespace', v)}
      />
      <Pick
        label="Operation"
        name="operation"
        value={param('operation') ?? ''}
        options={operations}
        set={(v) => set('operation', v)}
        wide
      />
      <Pick
        label="Kind"
        name="kind"
        value={param('kind') ?? ''}
        options={['server', 'client', 'producer', 'consumer', 'internal']}
        set={(v) => set('kind', v)}
      />
      <Pick
        label="Status"
        name="status"
        value={param('status') ?? ''}
        options={['error', 'ok', 'unset']}
        set={(v) => set('status', v)}
      />
      <DurationField label="Longer than" name="min_duration" />
      <DurationField label="Shorter than" name="max_duration" />
      <label class="field attr">
        <span>Attribute</span>
        <input
          name="attribute"
          placeholder="key=value ↵"
          onKeyDown={(e) => {
            if (e.key !== 'Enter' || !/^[^=\s]+=.+/.test(e.currentTarget.value)) return;
            e.preventDefault();
            addAttribute(e.currentTarget.value);
            e.currentTarget.value = '';
          }}
        />
      </label>
      {range.value === undefined ? (
        <Pick
          label="Within the last"
          name="last"
          value={param('last') ?? '1h'}
          options={LAST_NAMES}
          set={(v) => patch({ last: v })}
          must
        />
      ) : null}
      <Pick
        label="At most"
        name="limit"
        value={param('limit') ?? '100'}
        options={['20', '50', '100', '200', '500']}
        set={(v) => set('limit', v)}
        must
      />
      <button type="submit" class="button primary">
        Search
      </button>
      {attributes.length > 0 ? (
        <span class="attributes">
          {attributes.map((a) => (
            <button type="button" key={a} class="chip" title="Drop this condition" onClick={() => dropAttribute(a)}>
              {a} ×
            </button>
          ))}
        </span>
      ) : null}
    </form>
  );
}

function Pick(p: {
  label: string;
  name: string;
  value: string;
  options: readonly string[];
  set: (v: string) => void;
  must?: boolean;
  wide?: boolean;
}): JSX.Element {
  const options = p.value === '' || p.options.includes(p.value) ? p.options : [p.value, ...p.options];
  return (
    <label class={`field ${p.wide === true ? 'wide' : ''}`}>
      <span>{p.label}</span>
      <select
        name={p.name}
        value={p.value}
        onChange={(e) => p.set(e.currentTarget.value)}
        class={p.value === '' ? 'unset' : ''}
      >
        {p.must === true ? null : <option value="">any</option>}
        {options.map((o) => (
          <option key={o} value={o}>
            {o}
          </option>
        ))}
      </select>
    </label>
  );
}

function DurationField(p: { label: string; name: string }): JSX.Element {
  const [wrong, setWrong] = useState(false);
  return (
    <label class="field short">
      <span>{p.label}</span>
      <input
        name={p.name}
        value={param(p.name) ?? ''}
        placeholder="5ms"
        aria-invalid={wrong}
        title={wrong ? 'A duration such as 5ms, 1.5s or 2m' : ''}
        onChange={(e) => {
          const v = e.currentTarget.value.trim();
          const ok = v === '' || parseDuration(v) !== undefined;
          setWrong(!ok);
          // A bare number is taken as milliseconds, which the server must be told.
          if (ok) patch({ [p.name]: /^\d+(\.\d+)?$/.test(v) ? `${v}ms` : v });
        }}
      />
    </label>
  );
}

function ScatterPlot(p: {
  traces: readonly TraceSummary[];
  from: number;
  to: number;
  hover: string | undefined;
  setHover: (id: string | undefined) => void;
}): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<Scatter | undefined>(undefined);
  const c = colors();
  const look = { ink: c.ink3, line: c.rule, good: c.ok, bad: c.failing, accent: c.accent };
  useEffect(() => {
    if (host.current === null) return;
    const s = new Scatter(host.current, look, { hover: p.setHover, open: (id) => go(href(`/trace/${id}`)) });
    plot.current = s;
    return () => s.dispose();
  }, []);
  useEffect(() => {
    plot.current?.set(
      p.traces.map((t) => ({ id: t.trace_id, time: t.start, duration: t.duration, size: t.spans, bad: t.errors > 0 })),
      p.from,
      p.to,
      look,
    );
  }, [p.traces, p.from, p.to, c]);
  useEffect(() => plot.current?.setHover(p.hover), [p.hover]);
  return (
    <div ref={host} class="scatter" role="img" aria-label="Traces by time and duration; the list below says the same" />
  );
}

function List(p: {
  traces: readonly TraceSummary[];
  hover: string | undefined;
  setHover: (id: string | undefined) => void;
}): JSX.Element {
  const palette = serviceColors();
  const top = Math.max(...p.traces.map((t) => t.duration), 1e-9);
  return (
    <ul class="trace-list" onPointerLeave={() => p.setHover(undefined)}>
      {p.traces.map((t) => {
        const spans = Math.max(
          1,
          t.services.reduce((n, s) => n + s.spans, 0),
        );
        return (
          <li
            key={t.trace_id}
            class={t.trace_id === p.hover ? 'hot' : ''}
            onPointerEnter={() => p.setHover(t.trace_id)}
          >
            <Link to={`/trace/${t.trace_id}`}>
              <span class="trace-name">
                <i class={t.errors > 0 ? 'mark mark-failing' : 'mark mark-ok'} /> <b>{t.root_service}</b>{' '}
                {t.root_operation === '' ? <span class="dim">its first span is not here yet</span> : t.root_operation}
              </span>
              <span class="trace-services" title={t.services.map((s) => `${s.name} ${s.spans}`).join('\n')}>
                {t.services.map((s) => (
                  <i
                    key={s.name}
                    style={{
                      width: `${(100 * s.spans) / spans}%`,
                      background: css(palette[hash32(s.name) % palette.length]!),
                    }}
                  />
                ))}
              </span>
              <span class="num dim">{t.spans.toLocaleString('en')} spans</span>
              <span class={`num ${t.errors > 0 ? 'bad' : 'dim'}`}>
                {t.errors > 0 ? `${t.errors} error${t.errors > 1 ? 's' : ''}` : ''}
              </span>
              <span class="edge-flow">
                <i
                  class={t.errors > 0 ? 'tone-failing' : 'tone-ok'}
                  style={{ width: `${Math.max(0.6, 100 * Math.sqrt(t.duration / top))}%` }}
                />
              </span>
              <span class="num">{duration(t.duration)}</span>
              <time>{clockMillis(t.start)}</time>
            </Link>
          </li>
        );
      })}
    </ul>
  );
}
