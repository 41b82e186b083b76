import type { GraphModel } from './graph';
import { blameOf, standsFor } from './trouble';

// The way from who suffers to who is to blame.
//
// An arrow of its own from each victim to its cause would cross the map as often as there are victims, beside the calls by
// which the trouble really came. So the way is shown on those calls: the shortest from the victim to the cause, by unwell
// edges where there are such. Only where no calls lead there does an arrow stand by itself.

export interface Wake {
  /** Edges on the way from a victim to its cause. */
  edges: ReadonlySet<string>;
  /** Victims, and what stands for their causes, that no calls join. */
  apart: readonly (readonly [victim: string, cause: string])[];
}

/** Victims beyond these have no way drawn: then nobody could follow one. */
const MOST_CAUSES = 64;

export function wakeOf(m: GraphModel): Wake {
  const victims = new Map<string, string[]>();
  for (const n of m.nodes.values()) {
    const { cause } = blameOf(n);
    const to = cause === undefined ? undefined : standsFor(m, cause);
    if (to === undefined || to === n.id) continue;
    const l = victims.get(to);
    if (l === undefined) victims.set(to, [n.id]);
    else l.push(n.id);
  }
  const edges = new Set<string>();
  const apart: [string, string][] = [];
  for (const [cause, from] of [...victims].slice(0, MOST_CAUSES)) {
    const next = waysTo(m, cause);
    for (const victim of from) {
      if (!next.has(victim)) apart.push([victim, cause]);
      // Each step is nearer to the cause, so the walk ends there.
      for (let at = victim; at !== cause;) {
        const step = next.get(at);
        if (step === undefined) break;
        edges.add(step.edge);
        at = step.to;
      }
    }
  }
  return { edges, apart };
}

/** Of each node from which calls lead to `cause`, the first of them: by fewest well edges, then by fewest at all. */
function waysTo(m: GraphModel, cause: string): Map<string, { edge: string; to: string }> {
  const next = new Map<string, { edge: string; to: string }>();
  // Rings of equal cost: a well edge costs a great deal more than one that is unwell.
  const WELL = 8;
  const rings: string[][] = [[cause]];
  const cost = new Map([[cause, 0]]);
  for (let c = 0; c < rings.length; c++)
    for (const at of rings[c] ?? []) {
      if (cost.get(at) !== c) continue;
      for (const e of m.incoming(at)) {
        const through = c + (e.judgement === undefined ? WELL : 1);
        if (through >= (cost.get(e.source) ?? Infinity)) continue;
        cost.set(e.source, through);
        next.set(e.source, { edge: e.id, to: at });
        (rings[through] ??= []).push(e.source);
      }
    }
  return next;
}
