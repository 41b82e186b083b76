import type { JSX } from 'preact';
import type { GraphEdge, GraphNode } from '../api/types';
import { duration, percent, rate } from '../base/format';
import { errorShare, signalsOf, tellingFigure, throttledShare, type GraphModel } from '../model/graph';
import { inbound, outbound } from '../model/queries';
import { blameOf, bySeverity, errorsToBlame, partOfEdge, troubleOf, type Part } from '../model/trouble';
import { GoldenSignals } from '../widgets/golden';
import { EdgeMark, NodeMark } from '../widgets/mark';
import { Link, Segments } from '../widgets/parts';
import { LAST_NAMES, last, param, patch, range } from '../widgets/route';
import { HowToSend } from '../widgets/connect';
import { Failure, Incomplete, Loading, Nothing } from '../widgets/states';
import { Judged } from './judged';
import { connection, loaded, pastError, retryPast, useGraph } from './live';
import { Exemplars } from './mappanel';
import { Operations } from './operations';

export function ServicePage(): JSX.Element {
  const broken = pastError.value ?? (connection.value.kind === 'broken' ? connection.value.reason : undefined);
  if (broken !== undefined)
    return (
      <div class="page">
        <Failure title="No services to show" error={broken} retry={retryPast} />
      </div>
    );
  const graph = useGraph();
  if (!loaded.value)
    return (
      <div class="page">
        <Loading what="Waiting for the first picture of the mesh." />
      </div>
    );
  if (graph.nodes.size === 0)
    return (
      <div class="page">
        <Nothing title="No service has reported yet">
          <HowToSend />
        </Nothing>
      </div>
    );
  const all = [...graph.nodes.values()].sort(bySeverity(graph, '1m'));
  const id = param('id');
  const n = id === undefined ? (all.find((x) => x.kind === 'service') ?? all[0]) : graph.nodes.get(id);
  return (
    <div class="split">
      <nav class="rail" aria-label="Services">
        {groups(all).map(([group, nodes]) => (
          <section key={group}>
            <h3>{group}</h3>
            <ul>
              {nodes.map((x) => (
                <li key={x.id}>
                  <Link to="/service" params={{ id: x.id }} current={x.id === n?.id}>
                    <NodeMark n={x} window="1m" />
                    <span>{x.name}</span>
                    <small class="num">{signalsOf(x, '1m').rate > 0 ? rate(signalsOf(x, '1m').rate) : ''}</small>
                  </Link>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </nav>
      {n === undefined ? (
        <div class="page">
          <Nothing title="Not on the map">
            <p>
              {id} has not been seen {range.value === undefined ? 'lately' : 'in this range'}. Choose another on the
              left.
            </p>
          </Nothing>
        </div>
      ) : (
        <Service key={n.id} n={n} />
      )}
    </div>
  );
}

/** Who is to blame and who suffers first, each by themselves, then namespaces. */
function groups(all: readonly GraphNode[]): [string, GraphNode[]][] {
  const of = (part: Part): GraphNode[] => all.filter((n) => n.group?.open !== true && blameOf(n).part === part);
  const first: [string, GraphNode[]][] = [
    ['to blame', of('culprit')],
    ['unwell', of('accused')],
    ['suffering', of('victim')],
  ];
  const by = new Map<string, GraphNode[]>();
  for (const n of all) {
    if (n.group?.open !== true && blameOf(n).part !== 'well') continue;
    const g = n.kind === 'service' ? n.namespace || 'services' : 'beyond the mesh';
    const l = by.get(g);
    if (l === undefined) by.set(g, [n]);
    else l.push(n);
  }
  const rest = [...by].sort(
    ([a], [b]) => Number(a === 'beyond the mesh') - Number(b === 'beyond the mesh') || (a < b ? -1 : 1),
  );
  return [...first.filter(([, nodes]) => nodes.length > 0), ...rest];
}

function Service(p: { n: GraphNode }): JSX.Element {
  const { n } = p;
  const graph = useGraph();
  const into = graph.incoming(n.id);
  const out = graph.outgoing(n.id);
  const s = signalsOf(n, '1m');
  // A victim's figures are another's doing, and not pointed at.
  const telling = blameOf(n).part === 'victim' ? undefined : tellingFigure(n.health, s);
  const select = into.length > 0 ? inbound(n) : outbound(n);
  return (
    <div class="page service">
      <header class="page-head">
        <div>
          <p class="over">
            {[
              n.namespace,
              n.kind === 'service' ? 'service' : n.system === '' ? n.kind : `${n.kind} · ${n.system}`,
              n.cluster,
            ]
              .filter((x) => x !== '')
              .join(' · ')}
          </p>
          <h1>
            <NodeMark n={n} window="1m" /> {n.name}{' '}
            {n.versions.map((v) => (
              <span key={v} class="chip">
                {v}
              </span>
            ))}
          </h1>
        </div>
        <div class="figures">
          <Big label="requests" value={rate(s.rate)} />
          <Big label="errors" value={percent(errorShare(s))} tone={telling === 'errors' ? 'failing' : ''} />
          <Big label="p50" value={duration(s.p50)} />
          <Big label="p99" value={duration(s.p99)} tone={telling === 'latency' ? 'degraded' : ''} />
          {throttledShare(s) > 0 ? <Big label="throttled" value={rate(s.throttled_rate)} tone="throttled" /> : null}
        </div>
        <div class="head-actions">
          {range.value === undefined ? (
            <Segments
              label="Charts over the last"
              options={LAST_NAMES}
              value={last.value.name}
              set={(v) => patch({ last: v === '15m' ? undefined : v })}
            />
          ) : null}
          <Link to="/" params={{ node: n.id }} class="button">
            On the map
          </Link>
          {n.kind === 'service' ? (
            <Link to="/traces" params={{ service: n.name, namespace: n.namespace }} class="button">
              Traces
            </Link>
          ) : null}
        </div>
      </header>
      <Incomplete of={graph.incomplete} />
      <Judged of={n} page />
      <GoldenSignals select={select} exemplars={into.flatMap((e) => e.exemplars)} height={150} wide />
      <Flow n={n} into={into} out={out} />
      <div class="columns">
        {n.kind === 'service' ? <Operations n={n} /> : null}
        <Exemplars list={into.flatMap((e) => e.exemplars)} />
      </div>
    </div>
  );
}

function Big(p: { label: string; value: string; tone?: string }): JSX.Element {
  return (
    <div class={`big ${p.tone === undefined || p.tone === '' ? '' : `text-${p.tone}`}`}>
      <b>{p.value}</b>
      <span>{p.label}</span>
    </div>
  );
}

const FLOW_ROW = 40;

/** Inbound and outbound edges: callers on the left, callees on the right, their lines as wide as their rate. */
function Flow(p: { n: GraphNode; into: readonly GraphEdge[]; out: readonly GraphEdge[] }): JSX.Element | null {
  const graph = useGraph();
  const rank = (es: readonly GraphEdge[]): GraphEdge[] =>
    [...es].sort((a, b) => signalsOf(b, '1m').rate - signalsOf(a, '1m').rate);
  const left = rank(p.into);
  const right = rank(p.out);
  const rows = Math.max(left.length, right.length, 1);
  if (left.length + right.length === 0) return null;
  const top = Math.max(...[...left, ...right].map((e) => signalsOf(e, '1m').rate), 1e-9);
  const h = rows * FLOW_ROW + 8;
  const wide = (e: GraphEdge): number => 1.5 + 13 * Math.sqrt(signalsOf(e, '1m').rate / top);
  const y = (i: number, n: number): number => h / 2 + (i - (n - 1) / 2) * FLOW_ROW;
  return (
    <section class="flow">
      <div class="flow-side">
        {left.length === 0 ? <p class="dim">Nothing calls it.</p> : <Ends edges={left} end="source" />}
      </div>
      <svg viewBox={`0 0 400 ${h}`} height={h} preserveAspectRatio="none" aria-hidden="true">
        {left.map((e, i) => (
          <path
            key={e.id}
            class={`stream stream-${toneOf(e, graph)}`}
            d={curve(0, y(i, left.length), 190, h / 2)}
            style={{ strokeWidth: `${wide(e)}px` }}
          />
        ))}
        {right.map((e, i) => (
          <path
            key={e.id}
            class={`stream stream-${toneOf(e, graph)}`}
            d={curve(210, h / 2, 400, y(i, right.length))}
            style={{ strokeWidth: `${wide(e)}px` }}
          />
        ))}
      </svg>
      <span class={`flow-node ring-${toneOfNode(p.n)}`} title={p.n.name} />
      <div class="flow-side">
        {right.length === 0 ? <p class="dim">It calls nothing.</p> : <Ends edges={right} end="target" />}
      </div>
    </section>
  );
}

/** The colour's name of a line: how it is unwell, quiet where that is another's doing. */
function toneOf(e: GraphEdge, graph: GraphModel): string {
  const part = partOfEdge(e, graph);
  return part === 'well' ? e.health : part === 'victim' ? part : (troubleOf(e, '1m') ?? e.health);
}

function toneOfNode(n: GraphNode): string {
  const { part } = blameOf(n);
  return part === 'well' ? n.health : part === 'victim' ? part : (troubleOf(n, '1m') ?? n.health);
}

function curve(x0: number, y0: number, x1: number, y1: number): string {
  const mid = (x0 + x1) / 2;
  return `M${x0} ${y0}C${mid} ${y0} ${mid} ${y1} ${x1} ${y1}`;
}

function Ends(p: { edges: readonly GraphEdge[]; end: 'source' | 'target' }): JSX.Element {
  const graph = useGraph();
  return (
    <ul class="ends">
      {p.edges.map((e) => {
        const s = signalsOf(e, '1m');
        return (
          <li key={e.id} style={{ height: `${FLOW_ROW}px` }}>
            <Link to="/service" params={{ id: e[p.end] }} class="ends-name">
              <EdgeMark e={e} graph={graph} window="1m" /> {graph.nodes.get(e[p.end])?.name ?? e[p.end]}
            </Link>
            <Link to="/" params={{ edge: e.id }} class="ends-figures" title="Show the edge on the map">
              <span class="num">{rate(s.rate)}</span>
              {errorShare(s) > 0.001 ? (
                <span class={`num ${errorsToBlame(e, graph, s) ? 'bad' : 'dim'}`}>{percent(errorShare(s))}</span>
              ) : null}
              {s.throttled_rate > 0 ? <span class="num throttled">{rate(s.throttled_rate)} refused</span> : null}
              <span class="num dim">p99 {duration(s.p99)}</span>
            </Link>
          </li>
        );
      })}
    </ul>
  );
}
