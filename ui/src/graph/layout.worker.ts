import type { Curve, Point, Rect } from '../base/geometry';
import { areaAround, type Area } from './area';
import { arrangeFolded } from './folded';
import { areaOf, layout, type LayoutEdge, type LayoutNode } from './layout';
import { Neighbours, route } from './route';

// Everything that is computed once per shape of the graph, off the main thread: where the nodes stand, how the
// edges run, and what areas the namespaces take.

export interface ArrangedNode extends LayoutNode {
  /** In a folded graph: the open group of a node, and how many a group holds. */
  within?: string | undefined;
  members?: number | undefined;
}

export interface ArrangeRequest {
  nodes: ArrangedNode[];
  edges: (LayoutEdge & { id: string })[];
  pinned: [string, Point][];
  /** Where groups stand already. */
  rects: [string, Rect][];
  /** Width to height of what is to be filled. */
  aspect: number;
}

export interface Arrangement {
  places: [string, Point][];
  curves: [string, Curve][];
  areas: Area[];
  /** Of the groups, open or folded, where the graph is folded. */
  rects: [string, Rect][];
}

export function arrange(r: ArrangeRequest): Arrangement {
  if (r.nodes.some((n) => n.kind === 'group')) return arrangeFolded(r);
  const places = layout({ nodes: r.nodes, edges: r.edges, pinned: new Map(r.pinned) });
  const around = new Neighbours(places.values());
  const seen = new Map<string, number>();
  const curves = r.edges.flatMap((e): [string, Curve][] => {
    const a = places.get(e.source);
    const b = places.get(e.target);
    if (a === undefined || b === undefined) return [];
    // Several protocols between the same two, or a call back, lie side by side.
    const pair = e.source < e.target ? `${e.source} ${e.target}` : `${e.target} ${e.source}`;
    const twin = seen.get(pair) ?? 0;
    seen.set(pair, twin + 1);
    return [[e.id, route(a, b, around, twin)]];
  });
  const groups = new Map<string, Point[]>();
  for (const [id, group] of areaOf(r.nodes, r.edges)) {
    const p = places.get(id);
    if (p === undefined) continue;
    const l = groups.get(group);
    if (l === undefined) groups.set(group, [p]);
    else l.push(p);
  }
  const all = [...places.values()];
  return {
    places: [...places],
    curves,
    areas: [...groups].map(([g, points]) => areaAround(g, points, all)),
    rects: [],
  };
}

// Only in a worker: the tests import arrange() where there is no such scope.
if (typeof document === 'undefined' && typeof self !== 'undefined') {
  self.onmessage = (e: MessageEvent<ArrangeRequest>) => {
    const answer = arrange(e.data);
    self.postMessage(answer, { transfer: answer.areas.map((a) => a.field.buffer) });
  };
}
