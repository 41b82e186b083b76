import type { Curve, Point } from '../base/geometry';
import { hull, type Hull } from './hull';
import { landOf, layout, type LayoutEdge, type LayoutNode } from './layout';
import { Neighbours, route } from './route';

// Everything that is computed once per shape of the graph, off the main thread: places, curves, coasts.

export interface ChartRequest {
  serial: number;
  nodes: LayoutNode[];
  edges: (LayoutEdge & { id: string })[];
  pinned: [string, Point][];
}

export interface Chart {
  serial: number;
  places: [string, Point][];
  curves: [string, Curve][];
  hulls: Hull[];
}

export function chart(r: ChartRequest): Chart {
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
  for (const [id, group] of landOf(r.nodes, r.edges)) {
    const p = places.get(id);
    if (p === undefined) continue;
    const l = groups.get(group);
    if (l === undefined) groups.set(group, [p]);
    else l.push(p);
  }
  const all = [...places.values()];
  return {
    serial: r.serial,
    places: [...places],
    curves,
    hulls: [...groups].map(([g, points]) => hull(g, points, all)),
  };
}

// Only in a worker: the tests import chart() where there is no such scope.
if (typeof document === 'undefined' && typeof self !== 'undefined') {
  self.onmessage = (e: MessageEvent<ChartRequest>) => {
    const answer = chart(e.data);
    self.postMessage(answer, { transfer: answer.hulls.map((h) => h.field.buffer) });
  };
}
