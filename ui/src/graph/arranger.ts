import type { Point } from '../base/geometry';
import type { GraphModel } from '../model/graph';
import type { Arrangement, ArrangeRequest } from './layout.worker';
import { rememberedPlaces, rememberPlaces } from './memory';

// Asks the worker where everything stands, whenever the shape of the graph changes.
//
// Invariant: one question at a time. What changes while the worker computes is asked once, afterwards.

export class Arranger {
  private readonly worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
  /** Where nodes have stood; they stay there until the user asks for a fresh drawing. */
  private readonly places = rememberedPlaces();
  private wanted = false;
  private busy = false;
  private drawn = false;

  constructor(
    private readonly model: GraphModel,
    private readonly arranged: (a: Arrangement) => void,
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
    const nodes = [...model.nodes.values()].map((n) => ({ id: n.id, group: n.namespace, kind: n.kind }));
    const edges = [...model.edges.values()]
      .filter((e) => model.complete(e))
      .map((e) => ({ id: e.id, source: e.source, target: e.target }));
    const pinned = nodes.flatMap((n): [string, Point][] => {
      const p = this.places.get(n.id);
      return p === undefined ? [] : [[n.id, p]];
    });
    const request: ArrangeRequest = { nodes, edges, pinned };
    this.worker.postMessage(request);
  }

  private answered(a: Arrangement): void {
    this.busy = false;
    this.drawn = a.places.length > 0;
    let fresh = false;
    for (const [id, p] of a.places) {
      if (this.places.has(id)) continue;
      this.places.set(id, p);
      fresh = true;
    }
    if (fresh) rememberPlaces(this.places);
    this.arranged(a);
    this.next();
  }
}
