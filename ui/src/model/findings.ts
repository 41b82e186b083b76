import type { Finding } from '../api/types';
import type { GraphModel } from './graph';
import { standsFor } from './trouble';

// Where what is noticed of the mesh is shown: at its nodes and edges, or at the group in which they are folded away.

export interface Noticed {
  nodes: ReadonlyMap<string, readonly Finding[]>;
  edges: ReadonlyMap<string, readonly Finding[]>;
}

export function noticed(m: GraphModel): Noticed {
  const nodes = new Map<string, Finding[]>();
  const edges = new Map<string, Finding[]>();
  const note = (at: Map<string, Finding[]>, id: string | undefined, f: Finding): void => {
    if (id === undefined) return;
    const l = at.get(id);
    if (l === undefined) at.set(id, [f]);
    else if (!l.includes(f)) l.push(f);
  };
  for (const f of m.findings) {
    for (const id of f.nodes) note(nodes, standsFor(m, id), f);
    for (const id of f.edges) if (m.edges.has(id)) note(edges, id, f);
  }
  return { nodes, edges };
}

/** A kind in a few words; of one that only a newer server knows, its own name. */
export function findingWords(kind: string): string {
  return WORDS[kind] ?? kind.replaceAll('_', ' ');
}

const WORDS: Readonly<Record<string, string>> = {
  headers_dropped: 'drops trace headers',
  no_tracer: 'has no tracer',
  sampling_differs: 'samples differently',
  clock_off: 'clock is off',
  reported_twice: 'reported twice',
  replica_silent: 'a replica fell silent',
  service_renamed: 'was renamed',
  address_reused: 'address was reused',
  cause_shared: 'ill of what many share',
};

/** Those of a node or an edge itself, warnings first. */
export function findingsOf(m: GraphModel, id: string): readonly Finding[] {
  return inOrder(m.findings.filter((f) => f.nodes.includes(id) || f.edges.includes(id)));
}

/** Warnings first, then the newest. */
export function inOrder(list: readonly Finding[]): Finding[] {
  return [...list].sort((a, b) => Number(a.severity === 'info') - Number(b.severity === 'info') || b.since - a.since);
}
