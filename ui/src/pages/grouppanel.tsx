import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { findNodes } from '../api/client';
import type { Found, GraphNode, GroupInfo } from '../api/types';
import { duration, percent, rate } from '../base/format';
import { errorShare, signalsOf } from '../model/graph';
import { isUnwell } from '../model/trouble';
import { FoundMark, NodeMark } from '../widgets/mark';
import { mapWindow, patch } from '../widgets/route';
import { Sentence } from './judged';
import { useGraph } from './live';
import { EdgeList, Head } from './mappanel';

/** The panel of a group: what comes into it, what goes on within, and who in it is unwell. */
export function GroupPanel(p: { n: GraphNode; group: GroupInfo; unfold: (group: string) => void }): JSX.Element {
  const { n, group: g } = p;
  const graph = useGraph();
  const window = mapWindow.value;
  const into = signalsOf(n, window);
  const inner = signalsOf({ windows: g.inner }, window);
  const ill = useUnwell(n.id, g.failing + g.degraded + g.culprits + g.victims);
  const row = (name: string, s: typeof into): JSX.Element => (
    <tr>
      <th scope="row">{name}</th>
      <td class="num">{rate(s.rate)}</td>
      <td class={`num ${errorShare(s) > 0.01 ? 'bad' : ''}`}>{percent(errorShare(s))}</td>
      <td class="num">{duration(s.p99)}</td>
    </tr>
  );
  return (
    <>
      <Head
        over={`${n.namespace === '' ? 'group' : 'namespace'} · ${g.members.toLocaleString('en')} members`}
        title={n.name}
        mark={<NodeMark n={n} window={window} />}
      >
        <p class="actions">
          <button type="button" class="button primary" onClick={() => p.unfold(n.id)}>
            {g.open ? 'Show' : 'Unfold'}
          </button>
        </p>
      </Head>
      {g.culprits + g.victims > 0 ? (
        <section>
          <h3>
            {g.culprits} to blame, {g.victims} suffer
          </h3>
          {g.worst === undefined ? null : (
            <Sentence j={{ ...g.worst.judgement, because: g.worst.id }} itself={false} victim={false} />
          )}
        </section>
      ) : null}
      <section>
        <h3>Requests over {window}</h3>
        <table class="group-sums">
          <thead>
            <tr>
              <td />
              <th scope="col">rate</th>
              <th scope="col">errors</th>
              <th scope="col" title="The highest of its edges: quantiles cannot be added">
                highest p99
              </th>
            </tr>
          </thead>
          <tbody>
            {row('from outside', into)}
            {row('within', inner)}
          </tbody>
        </table>
      </section>
      {ill.length > 0 ? (
        <section>
          <h3>Unwell</h3>
          <ul class="edges">
            {ill.map((f) => (
              <li key={f.id}>
                <button type="button" onClick={() => patch({ node: f.id, edge: undefined })}>
                  <MemberMark f={f} /> <span class="edge-name">{f.name}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      <EdgeList title="Called by" edges={graph.incoming(n.id)} end="source" />
      <EdgeList title="Calls" edges={graph.outgoing(n.id)} end="target" />
    </>
  );
}

/** A member's own mark where it is shown, and what was found of it where it is not. */
function MemberMark(p: { f: Found }): JSX.Element {
  const known = useGraph().nodes.get(p.f.id);
  return known === undefined ? <FoundMark f={p.f} /> : <NodeMark n={known} window={mapWindow.value} />;
}

/** The unwell members of a group, who is to blame first; asked again when their number changes. */
function useUnwell(group: string, count: number): Found[] {
  const [list, setList] = useState<Found[]>([]);
  useEffect(() => {
    setList([]);
    if (count === 0) return;
    const abort = new AbortController();
    Promise.all(['culprit', 'failing', 'degraded', 'victim'].map((h) => findNodes(h, 200, abort.signal))).then(
      (answers) => {
        // A name may have the word in it: that alone makes nobody unwell.
        const unwell = answers.flatMap((a) => a.nodes).filter((f) => f.group === group && isUnwell(f.health));
        setList([...new Map(unwell.map((f) => [f.id, f])).values()]);
      },
      () => undefined, // the figures above stand by themselves
    );
    return () => abort.abort();
  }, [group, count]);
  return list;
}
