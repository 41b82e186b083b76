import type { ComponentChildren, JSX } from 'preact';
import { nameOf } from '../model/trouble';
import { Link } from '../widgets/parts';
import { patch } from '../widgets/route';
import { useGraph } from './live';

// What findings and events have in common: where it is, and on what it rests.

/** Buttons for where something is: each selects it on the map. An edge that is folded away is known by its ends. */
export function Where(p: { nodes: readonly string[]; edges: readonly string[] }): JSX.Element | null {
  const graph = useGraph();
  const known = p.edges.filter((id) => graph.edges.has(id));
  if (p.nodes.length + known.length === 0) return null;
  const edge = (id: string): string => {
    const e = graph.edges.get(id)!;
    return `${nameOf(graph, e.source)} → ${nameOf(graph, e.target)}`;
  };
  return (
    <p class="where">
      {p.nodes.map((id) => (
        <Place key={id} select={{ node: id, edge: undefined }}>
          {nameOf(graph, id)}
        </Place>
      ))}
      {known.map((id) => (
        <Place key={id} select={{ edge: id, node: undefined }}>
          {edge(id)}
        </Place>
      ))}
    </p>
  );
}

function Place(p: {
  select: { node: string | undefined; edge: string | undefined };
  children: ComponentChildren;
}): JSX.Element {
  return (
    <button type="button" class="chip" onClick={() => patch({ ...p.select, focus: undefined })}>
      {p.children}
    </button>
  );
}

/** Sentences on which something rests, and a trace that shows it. */
export function Evidence(p: { list: readonly string[]; trace?: string }): JSX.Element | null {
  if (p.list.length === 0 && (p.trace ?? '') === '') return null;
  return (
    <details class="evidence">
      <summary>Evidence</summary>
      <ul>
        {p.list.map((e) => (
          <li key={e}>{e}</li>
        ))}
        {p.trace === undefined || p.trace === '' ? null : (
          <li>
            <Link to={`/trace/${p.trace}`} class="cause">
              A trace that shows it
            </Link>
          </li>
        )}
      </ul>
    </details>
  );
}
