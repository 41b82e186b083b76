import type { JSX } from 'preact';
import type { Finding } from '../api/types';
import { age, clock } from '../base/format';
import { findingsOf, findingWords, inOrder } from '../model/findings';
import { Icon } from '../widgets/parts';
import { range } from '../widgets/route';
import { useGraph } from './live';
import { Evidence, Where } from './where';

// What is noticed of the mesh: why an edge is missing or wrong, on what that rests, and what to do about it.

export function FindingsPanel(): JSX.Element {
  const graph = useGraph();
  const list = inOrder(graph.findings);
  if (list.length === 0)
    return (
      <p class="dim side-none">
        {range.value === undefined
          ? 'Nothing is noticed: traces and proxies tell the same story, and clocks agree.'
          : 'Findings are of now; the past has its events.'}
      </p>
    );
  return (
    <ul class="cards">
      {list.map((f) => (
        <li key={`${f.kind} ${f.subject}`}>
          <Card f={f} />
        </li>
      ))}
    </ul>
  );
}

/** Those about what is selected. */
export function FindingsHere(p: { id: string }): JSX.Element | null {
  const list = findingsOf(useGraph(), p.id);
  if (list.length === 0) return null;
  return (
    <section>
      <h3>Findings</h3>
      <ul class="cards">
        {list.map((f) => (
          <li key={`${f.kind} ${f.subject}`}>
            <Card f={f} here />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Card(p: { f: Finding; here?: boolean }): JSX.Element {
  const { f } = p;
  const graph = useGraph();
  return (
    <article class={`card card-${f.severity}`}>
      <p class="card-over">
        <Icon name="search" /> {findingWords(f.kind)}
        {f.since > 0 ? (
          <time dateTime={new Date(f.since).toISOString()} title={clock(f.since)}>
            for {age(graph.time - f.since)}
          </time>
        ) : null}
      </p>
      <p class="card-says">{f.says}</p>
      {f.remedy === '' ? null : <p class="card-remedy">{f.remedy}</p>}
      {p.here === true ? null : <Where nodes={f.nodes} edges={f.edges} />}
      <Evidence list={f.evidence} />
    </article>
  );
}
