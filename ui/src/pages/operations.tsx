import type { JSX } from 'preact';
import { promInstant } from '../api/client';
import type { GraphNode } from '../api/types';
import { duration, percent, rate } from '../base/format';
import { operations, outcomeOf } from '../model/queries';
import { blameOf, troubleOf } from '../model/trouble';
import { Bar, Link } from '../widgets/parts';
import { useQuery } from '../widgets/query';
import { range } from '../widgets/route';

// The operations of a service, over the time of the figures at the head of its page: the last minute while live.

interface Operation {
  name: string;
  kind: string;
  rate: number;
  errors: number;
  throttled: number;
  p50: number | undefined;
  p99: number | undefined;
}

async function askOperations(n: GraphNode, signal: AbortSignal): Promise<Operation[]> {
  const window =
    range.value === undefined ? '1m' : `${Math.max(60, Math.round((range.value.to - range.value.from) / 1000))}s`;
  const q = operations(n, window);
  const at = range.value?.to;
  const [rates, p50, p99] = await Promise.all([
    promInstant(q.rate, at, signal),
    promInstant(q.p50, at, signal),
    promInstant(q.p99, at, signal),
  ]);
  const ops = new Map<string, Operation>();
  const op = (m: Record<string, string>): Operation => {
    const key = `${m.kind ?? ''} ${m.operation ?? ''}`;
    let o = ops.get(key);
    if (o === undefined)
      ops.set(
        key,
        (o = {
          name: m.operation ?? '',
          kind: m.kind ?? '',
          rate: 0,
          errors: 0,
          throttled: 0,
          p50: undefined,
          p99: undefined,
        }),
      );
    return o;
  };
  for (const s of rates) {
    const v = s.values[0]?.[1] ?? 0;
    const outcome = outcomeOf(s.metric);
    op(s.metric).rate += v;
    if (outcome === 'error') op(s.metric).errors += v;
    if (outcome === 'throttled') op(s.metric).throttled += v;
  }
  for (const s of p50) op(s.metric).p50 = s.values[0]?.[1];
  for (const s of p99) op(s.metric).p99 = s.values[0]?.[1];
  return [...ops.values()].filter((o) => o.rate > 0).sort((a, b) => b.rate - a.rate);
}

export function Operations(p: { n: GraphNode }): JSX.Element {
  const r = range.value;
  const q = useQuery(
    `${p.n.id}|${r === undefined ? 'live' : `${r.from}-${r.to}`}`,
    (s) => askOperations(p.n, s),
    r === undefined ? 5000 : 0,
  );
  const ops = q.data ?? [];
  const top = Math.max(...ops.map((o) => o.rate), 1e-9);
  const throttles = ops.some((o) => o.throttled > 0);
  // The server judges services, not operations. Where it says in what way one is unwell, and by its own doing, the figures of that
  // are shown as such; what a victim passes on is another's.
  const trouble = blameOf(p.n).part === 'victim' ? undefined : troubleOf(p.n, '1m');
  const slowest = Math.max(...ops.map((o) => o.p99 ?? 0));
  return (
    <section class="operations">
      <h3>Operations{r === undefined ? ', over the last minute' : ''}</h3>
      {q.error !== undefined && q.data === undefined ? (
        <p class="inline-error" role="alert">
          {q.error.message}{' '}
          <button type="button" onClick={q.retry}>
            Try again
          </button>
        </p>
      ) : null}
      {ops.length === 0 ? (
        <p class="dim">
          {q.loading ? 'Reading…' : 'No operation was seen in this time: they come from spans, not from proxy logs.'}
        </p>
      ) : (
        <table>
          <thead>
            <tr>
              <th>operation</th>
              <th />
              <th class="num">rate</th>
              <th class="num">errors</th>
              {throttles ? <th class="num">throttled</th> : null}
              <th class="num">p50</th>
              <th class="num">p99</th>
            </tr>
          </thead>
          <tbody>
            {ops.map((o) => (
              <tr key={o.kind + o.name}>
                <td>
                  <Link to="/traces" params={{ service: p.n.name, namespace: p.n.namespace, operation: o.name }}>
                    {o.name}
                  </Link>{' '}
                  <small class="dim">{o.kind}</small>
                </td>
                <td class="cell-bar">
                  <Bar
                    label={`${rate(o.rate)}, ${percent(o.errors / o.rate)} errors, ${percent(o.throttled / o.rate)} throttled`}
                    parts={[
                      { share: (o.rate - o.errors - o.throttled) / top, tone: 'ok' },
                      { share: o.errors / top, tone: 'failing' },
                      { share: o.throttled / top, tone: 'throttled' },
                    ]}
                  />
                </td>
                <td class="num">{rate(o.rate)}</td>
                <td class={`num ${trouble === 'failing' && o.errors > 0 ? 'bad' : 'dim'}`}>
                  {percent(o.errors / o.rate)}
                </td>
                {throttles ? (
                  <td class={`num ${o.throttled > 0 ? 'throttled' : 'dim'}`}>{percent(o.throttled / o.rate)}</td>
                ) : null}
                <td class="num">{duration(o.p50)}</td>
                <td class={`num ${trouble === 'slow' && o.p99 === slowest ? 'slow' : ''}`}>{duration(o.p99)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
