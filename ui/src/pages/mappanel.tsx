import type { ComponentChildren, JSX } from 'preact';
import type { Exemplar, GraphEdge, GraphNode } from '../api/types';
import { clock, count, duration, percent, rate } from '../base/format';
import { estimateSays } from '../model/estimate';
import { errorShare, signalsOf, type GraphModel } from '../model/graph';
import { errorsToBlame, nameOf, partOfEdge, troubleOf } from '../model/trouble';
import { between, inbound, outbound } from '../model/queries';
import { GoldenSignals } from '../widgets/golden';
import { EdgeMark, NodeMark } from '../widgets/mark';
import { Icon, Link } from '../widgets/parts';
import { mapWindow, patch } from '../widgets/route';
import { FindingsHere } from './findings';
import { GroupPanel } from './grouppanel';
import { Judged } from './judged';
import { useGraph } from './live';

/** The panel beside the map: what is selected, in its golden signals. */
export function MapPanel(p: {
  node: string | undefined;
  edge: string | undefined;
  focus: number;
  toggleFocus: () => void;
  setFocus: (n: number) => void;
  unfold: (group: string) => void;
}): JSX.Element | null {
  const graph = useGraph();
  const n = p.node === undefined ? undefined : graph.nodes.get(p.node);
  const e = p.edge === undefined ? undefined : graph.edges.get(p.edge);
  return (
    <aside class="panel" aria-label="Selection">
      <button
        type="button"
        class="panel-close"
        aria-label="Close"
        title="Close (Esc)"
        onClick={() => patch({ node: undefined, edge: undefined, focus: undefined })}
      >
        <Icon name="close" />
      </button>
      {n?.group !== undefined ? (
        <GroupPanel n={n} group={n.group} unfold={p.unfold} />
      ) : n !== undefined ? (
        <NodePanel n={n} focus={p.focus} toggleFocus={p.toggleFocus} setFocus={p.setFocus} />
      ) : e !== undefined ? (
        <EdgePanel e={e} />
      ) : null}
    </aside>
  );
}

export function Head(p: {
  over: string;
  title: ComponentChildren;
  mark: ComponentChildren;
  children?: ComponentChildren;
}): JSX.Element {
  return (
    <header class="panel-head">
      <p class="over">{p.over}</p>
      <h2>
        {p.mark} {p.title}
      </h2>
      {p.children}
    </header>
  );
}

function NodePanel(p: {
  n: GraphNode;
  focus: number;
  toggleFocus: () => void;
  setFocus: (n: number) => void;
}): JSX.Element {
  const { n } = p;
  const graph = useGraph();
  const into = graph.incoming(n.id);
  const out = graph.outgoing(n.id);
  const select = into.length > 0 ? inbound(n) : outbound(n);
  const exemplars = into.flatMap((e) => e.exemplars);
  return (
    <>
      <Head
        over={[n.namespace, n.kind === 'service' ? 'service' : n.system === '' ? n.kind : `${n.kind} · ${n.system}`]
          .filter((x) => x !== '')
          .join(' · ')}
        title={n.name}
        mark={<NodeMark n={n} window={mapWindow.value} />}
      >
        {n.versions.length > 0 ? (
          <p class="chips">
            {n.versions.map((v) => (
              <span key={v} class="chip">
                {v}
              </span>
            ))}
          </p>
        ) : null}
        <p class="actions">
          <Link to="/service" params={{ id: n.id }} class="button primary">
            Open
          </Link>
          {n.kind === 'service' ? (
            <Link to="/traces" params={{ service: n.name, namespace: n.namespace }} class="button">
              Traces
            </Link>
          ) : null}
          <button
            type="button"
            class="button"
            aria-pressed={p.focus > 0}
            onClick={p.toggleFocus}
            title="Fade all but the neighbourhood (f)"
          >
            <Icon name="focus" /> Focus
          </button>
          {p.focus > 0 ? (
            <span class="segments">
              {[1, 2, 3].map((h) => (
                <button
                  type="button"
                  key={h}
                  role="radio"
                  aria-checked={p.focus === h}
                  onClick={() => p.setFocus(h)}
                  title={`${h} hop${h > 1 ? 's' : ''}`}
                >
                  {h}
                </button>
              ))}
            </span>
          ) : null}
        </p>
      </Head>
      <Judged of={n} />
      <FindingsHere id={n.id} />
      <GoldenSignals select={select} exemplars={exemplars} height={84} />
      <EdgeList title="Called by" edges={into} end="source" />
      <EdgeList title="Calls" edges={out} end="target" />
      <Exemplars list={exemplars} />
    </>
  );
}

function EdgePanel(p: { e: GraphEdge }): JSX.Element | null {
  const { e } = p;
  const graph = useGraph();
  const source = graph.nodes.get(e.source);
  const target = graph.nodes.get(e.target);
  if (source === undefined || target === undefined) return null;
  const w = e.witnesses;
  const seen = Math.max(1, w.client_span, w.server_span, w.client_log, w.server_log);
  return (
    <>
      <Head
        over={[
          e.protocol,
          e.mtls < 0 ? '' : e.mtls > 0.995 ? 'mutual TLS' : e.mtls > 0 ? `mutual TLS ${percent(e.mtls)}` : 'plaintext',
        ]
          .filter((x) => x !== '')
          .join(' · ')}
        mark={<EdgeMark e={e} graph={graph} window={mapWindow.value} />}
        title={
          <>
            <button type="button" class="linkish" onClick={() => patch({ node: e.source, edge: undefined })}>
              {source.name}
            </button>{' '}
            <Icon name="arrow" />{' '}
            <button type="button" class="linkish" onClick={() => patch({ node: e.target, edge: undefined })}>
              {target.name}
            </button>
          </>
        }
      />
      <Judged of={e} />
      <FindingsHere id={e.id} />
      {e.throttled_by.length > 0 ? (
        <p class="notice throttled">
          Throttled by{' '}
          {e.throttled_by.map((t) => (
            <Link key={t.rule} to="/quotas" params={{ rule: t.rule }}>
              {t.rule} <b>{rate(t.rate)}</b>
            </Link>
          ))}{' '}
          over the last minute
        </p>
      ) : null}
      <GoldenSignals select={between(source, target, e.protocol)} exemplars={e.exemplars} height={84} />
      <section>
        <h3>Who saw it</h3>
        <table class="witnesses">
          <thead>
            <tr>
              <th />
              <th>span</th>
              <th>proxy log</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <th>caller</th>
              <td>
                <Seen n={w.client_span} of={seen} />
              </td>
              <td>
                <Seen n={w.client_log} of={seen} />
              </td>
            </tr>
            <tr>
              <th>callee</th>
              <td>
                <Seen n={w.server_span} of={seen} />
              </td>
              <td>
                <Seen n={w.server_log} of={seen} />
              </td>
            </tr>
          </tbody>
        </table>
        {e.estimate === undefined ? null : <p class="estimate">{estimateSays(e.estimate)}</p>}
      </section>
      <Exemplars list={e.exemplars} />
    </>
  );
}

function Seen(p: { n: number; of: number }): JSX.Element {
  return (
    <span class="seen" title={`${p.n.toLocaleString('en')} requests`}>
      <span class="seen-fill" style={{ width: `${(100 * p.n) / p.of}%` }} />
      <b>{p.n === 0 ? '–' : count(p.n)}</b>
    </span>
  );
}

/** The colour's name of an edge: how it is unwell, quiet where that is another's doing. */
function toneOf(e: GraphEdge, graph: GraphModel): string {
  const part = partOfEdge(e, graph);
  return part === 'well' ? e.health : part === 'victim' ? part : (troubleOf(e, mapWindow.value) ?? e.health);
}

export function EdgeList(p: {
  title: string;
  edges: readonly GraphEdge[];
  end: 'source' | 'target';
}): JSX.Element | null {
  const graph = useGraph();
  if (p.edges.length === 0) return null;
  const top = Math.max(...p.edges.map((e) => signalsOf(e, mapWindow.value).rate), 1e-9);
  const order = [...p.edges].sort((a, b) => signalsOf(b, mapWindow.value).rate - signalsOf(a, mapWindow.value).rate);
  return (
    <section>
      <h3>{p.title}</h3>
      <ul class="edges">
        {order.map((e) => {
          const s = signalsOf(e, mapWindow.value);
          return (
            <li key={e.id}>
              <button type="button" onClick={() => patch({ edge: e.id, node: undefined, focus: undefined })}>
                <EdgeMark e={e} graph={graph} window={mapWindow.value} />
                <span class="edge-name">{nameOf(graph, e[p.end])}</span>
                <span class="edge-flow">
                  <i class={`tone-${toneOf(e, graph)}`} style={{ width: `${(100 * s.rate) / top}%` }} />
                </span>
                <span class="num">{rate(s.rate)}</span>
                <span class={`num ${errorsToBlame(e, graph, s) ? 'bad' : 'dim'}`}>{percent(errorShare(s))}</span>
                <span class="num">{duration(s.p99)}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

export function Exemplars(p: { list: readonly Exemplar[] }): JSX.Element | null {
  const list = [...new Map(p.list.map((x) => [x.trace_id, x])).values()]
    .sort((a, b) => Number(b.error) - Number(a.error) || b.duration - a.duration)
    .slice(0, 6);
  if (list.length === 0) return null;
  const top = Math.max(...list.map((x) => x.duration));
  return (
    <section>
      <h3>Traces that tell</h3>
      <ul class="exemplars">
        {list.map((x) => (
          <li key={x.trace_id}>
            <Link to={`/trace/${x.trace_id}`} params={{ span: x.span_id }}>
              <span class={`diamond ${x.error ? 'bad' : ''}`} />
              <span class="num">{duration(x.duration)}</span>
              <span class="edge-flow">
                <i class={x.error ? 'tone-failing' : 'tone-ok'} style={{ width: `${(100 * x.duration) / top}%` }} />
              </span>
              <time>{clock(x.time)}</time>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
