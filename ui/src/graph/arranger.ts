import type { Point, Rect } from '../base/geometry';
import type { GraphModel } from '../model/graph';
import type { Arrangement, ArrangeRequest } from './layout.worker';
import { rememberedPlaces, rememberedRegions, rememberPlaces, rememberRegions } from './memory';

// Asks the worker where everything stands, whenever the shape of the graph changes.
//
// Invariant: one question at a time. What changes while the worker computes is asked once, afterwards.

export class Arranger {
  private readonly worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
  /** Where nodes have stood; they stay there until the user asks for a fresh drawing. */
  private readonly places = rememberedPlaces();
  private readonly rects = rememberedRegions();
  private wanted = false;
  private busy = false;
  private drawn = false;

  constructor(
    private readonly model: GraphModel,
    private readonly arranged: (a: Arrangement) => void,
    private readonly aspect: () => number,
  ) {
    this.worker.onmessage = (e: MessageEvent<Arrangement>) => this.answered(e.data);
  }

  /** Asks for the places of the model as it is now. */
  ask(): void {
    this.wanted = true;
    this.next();
  }

  /** Lets all nodes take fresh places. */
  forget(): void {
    this.places.clear();
    this.rects.clear();
    this.ask();
  }

  dispose(): void {
    this.worker.terminate();
  }

  private next(): void {
    const { model } = this;
    if (this.busy || !this.wanted || (model.nodes.size === 0 && !this.drawn)) return;
    this.wanted = false;
    this.busy = true;
    const nodes = [...model.nodes.values()].map((n) => ({
      id: n.id,
      group: n.namespace,
      kind: n.kind,
      within: n.within,
      members: n.group?.members,
    }));
    const edges = [...model.edges.values()]
      .filter((e) => model.complete(e))
      .map((e) => ({ id: e.id, source: e.source, target: e.target }));
    const pinned = nodes.flatMap((n): [string, Point][] => {
      const p = this.places.get(n.id);
      return p === undefined ? [] : [[n.id, p]];
    });
    const rects = nodes.flatMap((n): [string, Rect][] => {
      const r = this.rects.get(n.id);
      return r === undefined ? [] : [[n.id, r]];
    });
    const request: ArrangeRequest = { nodes, edges, pinned, rects, aspect: this.aspect() };
    this.worker.postMessage(request);
  }

  private answered(a: Arrangement): void {
    this.busy = false;
    this.drawn = a.places.length > 0;
    let fresh = false;
    for (const [id, p] of a.places) {
      if (a.rects.length > 0) {
        // A region that had to grow has moved its cells: the worker's word is the newer one.
        this.places.set(id, p);
        fresh = true;
        continue;
      }
      if (this.places.has(id)) continue;
      this.places.set(id, p);
      fresh = true;
    }
    if (fresh) rememberPlaces(this.places);
    for (const [id, r] of a.rects) this.rects.set(id, r);
    if (a.rects.length > 0) rememberRegions(this.rects);
    this.arranged(a);
    this.next();
  }
}
