import type { ChangeKind, Changed, Compared, EdgeDiff, GraphDiff, NodeDiff } from '../api/timetypes';
import type { GraphEdge, GraphNode } from '../api/types';
import { duration, percent } from '../base/format';
import type { GraphModel } from './graph';
import { nameOf, standsFor } from './trouble';

// What the map draws of a comparison: a mark at each node and edge that is not what it was. What is gone is not in the
// graph, and is put into it as a ghost, so that it has a place. Where the graph is folded, a group counts what changed in it.

export type Tone = 'added' | 'gone' | 'worse' | 'better' | 'other';

export interface DiffMark {
  change: ChangeKind;
  words: string;
  tone: Tone;
}

export interface DiffMarks {
  nodes: ReadonlyMap<string, DiffMark>;
  edges: ReadonlyMap<string, DiffMark>;
}

export function diffMarks(d: GraphDiff, m: GraphModel): DiffMarks {
  const nodes = new Map<string, DiffMark>();
  const edges = new Map<string, DiffMark>();
  const within = new Map<string, Record<ChangeKind, number>>();
  const count = (group: string | undefined, change: ChangeKind): void => {
    if (group === undefined) return;
    const c = within.get(group) ?? { added: 0, gone: 0, changed: 0 };
    c[change]++;
    within.set(group, c);
  };
  for (const n of d.nodes) {
    if (m.nodes.has(n.id)) nodes.set(n.id, markOf(n));
    else count(standsFor(m, n.id), n.change);
  }
  for (const e of d.edges) {
    if (m.edges.has(e.id)) {
      edges.set(e.id, markOf(e));
      continue;
    }
    const [from, to] = [standsFor(m, e.source), standsFor(m, e.target)];
    if (from === to) count(from, e.change);
    else if (from !== undefined && to !== undefined) count(`${from}>${to}|*`, e.change);
  }
  for (const [id, c] of within) {
    const mark: DiffMark = { change: 'changed', words: countWords(c), tone: 'other' };
    if (m.nodes.has(id)) nodes.set(id, mark);
    else if (m.edges.has(id)) edges.set(id, mark);
  }
  return { nodes, edges };
}

function countWords(c: Record<ChangeKind, number>): string {
  return [c.added > 0 ? `+${c.added}` : '', c.gone > 0 ? `−${c.gone}` : '', c.changed > 0 ? `${c.changed} changed` : '']
    .filter((w) => w !== '')
    .join(' ');
}

function markOf(c: Compared): DiffMark {
  if (c.change === 'added') return { change: c.change, words: 'new', tone: 'added' };
  if (c.change === 'gone') return { change: c.change, words: 'gone', tone: 'gone' };
  const most = foremost(c.changes);
  return {
    change: 'changed',
    words: most === undefined ? 'changed' : changeWords(most),
    tone: most === undefined ? 'other' : toneOf(most),
  };
}

/** Which change a mark tells: what hurts before what is only different. */
const ORDER: readonly Changed['what'][] = ['errors', 'throttled', 'version', 'p99', 'p90', 'p50', 'rate', 'other'];

export function foremost(changes: readonly Changed[]): Changed | undefined {
  return [...changes].sort(
    (a, b) =>
      Number(b.certain) - Number(a.certain) ||
      Number(toneOf(b) === 'worse') - Number(toneOf(a) === 'worse') ||
      ORDER.indexOf(a.what) - ORDER.indexOf(b.what),
  )[0];
}

export function toneOf(c: Changed): Tone {
  if (c.what === 'version') return c.change === 'gone' ? 'gone' : 'added';
  if (c.what === 'rate' || c.what === 'other') return 'other';
  return (c.after ?? 0) > (c.before ?? 0) ? 'worse' : 'better';
}

/** A change in so few words that they fit beside a line: 'errors 12 %', 'p99 ×4.1', 'rate ÷3', 'v2 came'. */
export function changeWords(c: Changed): string {
  if (c.what === 'version') return `${c.version} ${c.change === 'gone' ? 'gone' : 'came'}`;
  if (c.what === 'errors') return `errors ${percent(c.after ?? 0)}`;
  if (c.what === 'throttled') return `throttled ${percent(c.after ?? 0)}`;
  if (c.what === 'other') return 'changed';
  const { ratio } = c;
  if (ratio === undefined || ratio <= 0) return c.what === 'rate' ? 'rate' : `${c.what} ${duration(c.after)}`;
  const times = ratio >= 1 ? ratio : 1 / ratio;
  const size = times >= 9.95 ? times.toFixed(0) : times.toFixed(1).replace(/\.0$/, '');
  return `${c.what} ${ratio >= 1 ? '×' : '÷'}${size}`;
}

/** What was there and is not, in a form that the map can show; nothing where the graph is folded, for it has no place of its own. */
export function ghostsOf(d: GraphDiff, m: GraphModel): { nodes: GraphNode[]; edges: GraphEdge[] } {
  for (const n of m.nodes.values()) if (n.group !== undefined) return { nodes: [], edges: [] };
  return {
    nodes: d.nodes.filter((n) => n.change === 'gone').map(ghostNode),
    edges: d.edges.filter((e) => e.change === 'gone').map(ghostEdge),
  };
}

function ghostNode(n: NodeDiff): GraphNode {
  const { id, name, namespace, cluster, kind, system } = n;
  const still = { health: 'idle', windows: {}, last_seen: 0, ghost: true } as const;
  return { id, name, namespace, cluster, kind, system, versions: [], ...still };
}

function ghostEdge(e: EdgeDiff): GraphEdge {
  const { id, source, target, protocol } = e;
  const still = { health: 'idle', windows: {}, mtls: -1, first_seen: 0, last_seen: 0, ghost: true } as const;
  return {
    ...{ id, source, target, protocol, ...still },
    throttled_by: [],
    exemplars: [],
    totals: { requests: 0, errors: 0, throttled: 0 },
    witnesses: { client_span: 0, server_span: 0, client_log: 0, server_log: 0 },
  };
}

/** A name for what a list shows of a comparison. */
export function comparedName(c: NodeDiff | EdgeDiff, m: GraphModel): string {
  return 'source' in c ? `${nameOf(m, c.source)} → ${nameOf(m, c.target)}` : c.name;
}
