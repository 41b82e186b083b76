import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { fetchQuotas } from '../api/client';
import type { QuotaKey, QuotaRule, Quotas } from '../api/types';
import { count, duration, percent, rate, when } from '../base/format';
import { useQuery } from '../widgets/query';
import { Bar } from '../widgets/parts';
import { param, patch } from '../widgets/route';
import { HowToLimit } from '../widgets/connect';
import { Failure, Loading, Nothing } from '../widgets/states';

export function QuotasPage(): JSX.Element {
  const q = useQuery('quotas', (s) => fetchQuotas(s), 2000);
  const d = q.data;
  if (d === undefined) {
    return (
      <div class="page">
        {q.error === undefined ? (
          <Loading what="Reading the rules." />
        ) : (
          <Failure title="The quotas could not be had" error={q.error.message} retry={q.retry} />
        )}
      </div>
    );
  }
  return (
    <div class="page quotas">
      {q.error === undefined ? null : (
        <p class="banner lost" role="alert">
          <b>Not heard from the server.</b> {q.error.message} What is shown is the last that was heard.
        </p>
      )}
      {d.error === '' ? null : (
        <p class="banner bad" role="alert">
          <b>The newest rule files were refused; the rules before them still hold.</b> <code>{d.error}</code>
        </p>
      )}
      {d.rules.length === 0 ? (
        <Nothing title="No rule is loaded">
          <p>Write rules in the format of Envoy’s rate-limit service, and name their folder in the configuration.</p>
          <HowToLimit />
        </Nothing>
      ) : (
        <Rules d={d} />
      )}
    </div>
  );
}

function Rules(p: { d: Quotas }): JSX.Element {
  const { d } = p;
  const text = (param('q') ?? '').toLowerCase();
  const rules = d.rules.filter((r) => `${r.id} ${r.descriptor} ${r.name}`.toLowerCase().includes(text));
  const order = [...rules].sort((a, b) => b.rates.over_limit - a.rates.over_limit || fullest(b) - fullest(a));
  const limited = d.rules
    .flatMap((r) => r.top.filter((k) => k.limited > 0).map((k) => ({ rule: r, key: k })))
    .sort((a, b) => b.key.limited_rate - a.key.limited_rate || b.key.limited - a.key.limited)
    .slice(0, 8);
  const ok = d.rules.reduce((n, r) => n + r.rates.ok, 0);
  const over = d.rules.reduce((n, r) => n + r.rates.over_limit, 0);
  return (
    <>
      <header class="page-head">
        <div>
          <p class="over">
            {d.files.map((f) => f.name).join(' · ')} · generation {d.generation} · loaded{' '}
            {when(d.loaded_at, Date.now())}
          </p>
          <h1>Quotas</h1>
        </div>
        <div class="figures">
          <div class="big">
            <b>{rate(ok + over)}</b>
            <span>decisions</span>
          </div>
          <div class={`big ${over > 0 ? 'text-throttled' : ''}`}>
            <b>{rate(over)}</b>
            <span>refused</span>
          </div>
          <div class="big">
            <b>{d.rules.reduce((n, r) => n + r.active_keys, 0).toLocaleString('en')}</b>
            <span>keys in use</span>
          </div>
        </div>
        <div class="head-actions">
          <label class="search-field small">
            <input
              value={param('q') ?? ''}
              placeholder="Filter rules"
              aria-label="Filter rules"
              onInput={(e) => patch({ q: e.currentTarget.value })}
            />
          </label>
        </div>
      </header>
      <div class="quota-columns">
        <ul class="rules">
          {order.map((r) => (
            <Rule key={r.id} r={r} />
          ))}
          {order.length === 0 ? <li class="dim">No rule of that name.</li> : null}
        </ul>
        <aside class="limited">
          <h3>Most limited</h3>
          {limited.length === 0 ? (
            <p class="dim">Nobody has been refused.</p>
          ) : (
            <ol>
              {limited.map(({ rule, key }) => (
                <li key={rule.id + key.key}>
                  <button type="button" onClick={() => patch({ rule: rule.id })}>
                    <b>{key.key}</b>
                    <span class="edge-flow">
                      <i
                        class="tone-throttled"
                        style={{
                          width: `${(100 * key.limited) / Math.max(1, limited[0]!.key.limited, ...limited.map((l) => l.key.limited))}%`,
                        }}
                      />
                    </span>
                    <span class="num throttled">
                      {key.limited_rate > 0 ? rate(key.limited_rate) : `${count(key.limited)} ×`}
                    </span>
                  </button>
                </li>
              ))}
            </ol>
          )}
        </aside>
      </div>
    </>
  );
}

function fullest(r: QuotaRule): number {
  return r.top.reduce((m, k) => Math.max(m, k.limit > 0 ? k.used / k.limit : 0), 0);
}

function Rule(p: { r: QuotaRule }): JSX.Element {
  const { r } = p;
  const chosen = param('rule') === r.id;
  useEffect(() => {
    if (chosen) document.getElementById(`rule-${r.id}`)?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);
  const d = r.decisions;
  const all = Math.max(1, d.total);
  return (
    <li id={`rule-${r.id}`} class={`rule ${chosen ? 'chosen' : ''} ${r.rates.over_limit > 0 ? 'refusing' : ''}`}>
      <header>
        <div>
          <p class="over">{r.domain}</p>
          <h2>
            {r.name === ''
              ? r.descriptor.split(' / ').map((s, i) => (
                  <span key={i}>
                    {i > 0 ? <em> / </em> : null}
                    {s}
                  </span>
                ))
              : r.name}
            {r.shadow_mode ? (
              <span class="chip" title="Counted, never refused">
                shadow
              </span>
            ) : null}
          </h2>
        </div>
        <p class="limit">
          {r.unlimited ? (
            <b>unlimited</b>
          ) : (
            <>
              <b>{r.requests_per_unit.toLocaleString('en')}</b>{' '}
              <span>
                {r.unit === 'hour' ? 'an' : 'a'} {r.unit}
              </span>
            </>
          )}
        </p>
      </header>
      <div class="decisions">
        <Bar
          label={`${count(d.ok)} ok, ${count(d.over_limit)} refused, ${count(d.near_limit)} near the limit, of ${count(d.total)}`}
          parts={[
            { share: (d.ok - d.near_limit) / all, tone: 'ok' },
            { share: d.near_limit / all, tone: 'degraded' },
            { share: d.over_limit / all, tone: 'throttled' },
          ]}
        />
        <span class="num">{rate(r.rates.ok)} ok</span>
        <span class={`num ${r.rates.over_limit > 0 ? 'throttled' : 'dim'}`}>{rate(r.rates.over_limit)} refused</span>
        <span class="num dim">
          {percent(d.over_limit / all)} of {count(d.total)}
        </span>
        {d.shadow > 0 ? <span class="num dim">{count(d.shadow)} would have been refused</span> : null}
      </div>
      {r.top.length === 0 ? null : (
        <ul class="keys">
          {r.top.slice(0, chosen ? 10 : 4).map((k) => (
            <Key key={k.key} k={k} bare={r.name === ''} />
          ))}
          {r.active_keys > r.top.length ? (
            <li class="more dim">and {(r.active_keys - r.top.length).toLocaleString('en')} keys more</li>
          ) : null}
        </ul>
      )}
    </li>
  );
}

/**
 * One key's use of its window: a gauge, and the time until the window begins anew. `bare` where the heading has
 * the names of the key's parts already.
 */
function Key(p: { k: QuotaKey; bare: boolean }): JSX.Element {
  const { k } = p;
  const share = k.limit > 0 ? k.used / k.limit : 0;
  const tone = share >= 1 ? 'throttled' : share >= 0.8 ? 'degraded' : 'ok';
  return (
    <li>
      <span class="key-name" title={k.key}>
        {p.bare
          ? k.key
              .split(', ')
              .map((part) => part.slice(part.indexOf('=') + 1))
              .join(' / ')
          : k.key}
      </span>
      <Bar label={`${k.used} of ${k.limit} used`} parts={[{ share, tone }]} mark={0.8} />
      <span class="num">
        {count(k.used)}
        <span class="dim"> / {count(k.limit)}</span>
      </span>
      <span class="num throttled">{k.limited > 0 ? `${count(k.limited)} refused` : ''}</span>
      <Resets inMs={k.resets_in} />
    </li>
  );
}

function Resets(p: { inMs: number }): JSX.Element {
  const [until, setUntil] = useState(Date.now() + p.inMs);
  const [, tick] = useState(0);
  useEffect(() => setUntil(Date.now() + p.inMs), [p.inMs]);
  useEffect(() => {
    const t = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(t);
  }, []);
  const left = Math.max(0, until - Date.now());
  return (
    <span class="num dim resets" title="Until the window is filled anew">
      ↻ {left < 1000 ? 'now' : duration(Math.round(left / 1000) * 1000)}
    </span>
  );
}
