import type { JSX } from 'preact';
import type { Changed, Compared, EdgeDiff, NodeDiff } from '../api/timetypes';
import { percent, when } from '../base/format';
import { comparedName, toneOf } from '../model/diff';
import { Incomplete, Loading } from '../widgets/states';
import { Segments } from '../widgets/parts';
import { patch } from '../widgets/route';
import { against, AGAINST, comparison, type Against } from './compare';
import { useGraph } from './live';

// What is not as it was: nodes and edges that came, went, or changed in what they carry, with how much and how surely.

const BACK = Object.keys(AGAINST) as Against[];

export function DiffPanel(): JSX.Element {
  const { diff: d, error } = comparison.value;
  const graph = useGraph();
  const choice = (
    <div class="diff-against">
      <span class="dim">against</span>
      <Segments
        label="Compare with"
        options={BACK}
        value={against()}
        set={(a) => patch({ against: a === 'before' ? undefined : a })}
      />
      <span class="dim">{against() === 'before' ? '' : 'earlier'}</span>
    </div>
  );
  if (error !== undefined)
    return (
      <>
        {choice}
        <p class="inline-error" role="alert">
          {error}
        </p>
      </>
    );
  if (d === undefined)
    return (
      <>
        {choice}
        <Loading what="Comparing the two times." />
      </>
    );
  const now = Date.now();
  const all: (NodeDiff | EdgeDiff)[] = [...d.nodes, ...d.edges];
  const of = (change: Compared['change']): (NodeDiff | EdgeDiff)[] => all.filter((c) => c.change === change);
  const listed = d.nodes.length + d.edges.length;
  const found = d.found_nodes + d.found_edges;
  return (
    <>
      {choice}
      <p class="dim side-none">
        {when(d.from, now)} – {when(d.to, now)} beside {when(d.against_from, now)} – {when(d.against_to, now)}
      </p>
      <Incomplete of={d.incomplete} />
      {all.length === 0 ? <p class="side-none">Nothing has changed that chance does not explain.</p> : null}
      {(['added', 'gone', 'changed'] as const).map((change) => {
        const list = of(change);
        return list.length === 0 ? null : (
          <section key={change}>
            <h3>
              {TITLES[change]} <small class="dim">{list.length}</small>
            </h3>
            <ul class="cards">
              {list.map((c) => (
                <li key={('source' in c ? 'e' : 'n') + c.id}>
                  <Row c={c} name={comparedName(c, graph)} />
                </li>
              ))}
            </ul>
          </section>
        );
      })}
      <p class="dim side-none">
        {listed < found ? `The ${listed} largest of ${found}. ` : ''}
        {d.tests > 0
          ? `Of ${d.tests.toLocaleString('en')} comparisons those are listed whose difference chance alone makes less often than once in ${Math.round(1 / Math.max(d.threshold, 1e-12)).toLocaleString('en')}.`
          : ''}
      </p>
    </>
  );
}

const TITLES: Readonly<Record<Compared['change'], string>> = { added: 'New', gone: 'Gone', changed: 'Changed' };

function Row(p: { c: NodeDiff | EdgeDiff; name: string }): JSX.Element {
  const { c } = p;
  return (
    <article class={`card diff-${c.change}`}>
      <p class="card-over">
        <button
          type="button"
          class="linkish diff-name"
          onClick={() =>
            patch('source' in c ? { edge: c.id, node: undefined } : { node: c.id, edge: undefined, focus: undefined })
          }
        >
          {p.name}
        </button>
        {c.certain ? null : <small class="dim">may be chance</small>}
      </p>
      <ul class="diff-changes">
        {c.changes.map((x) => (
          <li key={x.what + x.version} class={`diff-${toneOf(x)}`} title={chance(x)}>
            {x.says}
            {x.certain ? '' : ' (may be chance)'}
          </li>
        ))}
      </ul>
    </article>
  );
}

function chance(c: Changed): string {
  return c.p === undefined ? '' : `chance alone makes such a difference in ${percent(c.p)} of cases`;
}
