import type { GraphNode, NodeKind } from '../api/types';
import { duration, rate } from '../base/format';
import type { Point } from '../base/geometry';
import { errorShare, signalsOf, throttledShare } from '../model/graph';
import { isUnwell, type Trouble } from '../model/trouble';
import type { View } from './camera';
import { healthColor, mix, nodeRadius, nodeScale, plainInk, short, type Floats, type Looks } from './ink';
import { listed, type Labels, type Spot } from './labels';
import type { Palette } from './renderer';

// Nodes and their words. How one is unwell shows by the shape of its ring as well as by colour.

const KIND: Record<NodeKind, number> = { service: 0, database: 1, queue: 2, external: 3, client: 4, group: 0 };
const RING: Record<Trouble, number> = { slow: 1, failing: 2, throttled: 3, cut_off: 4 };

export interface NodeState {
  at: Point;
  /** It has an edge that is new. */
  young: boolean;
  /** It is unwell because of another: drawn quietly. */
  victim: boolean;
  culprit: boolean;
  trouble: Trouble | undefined;
}

/** Draws a node; answers whether it moves by itself. */
export function drawNode(
  n: GraphNode,
  state: NodeState,
  looks: Looks,
  p: Palette,
  view: View,
  out: Floats,
  labels: Labels,
  figures: (key: string, make: () => string) => string,
): boolean {
  const { at, young } = state;
  const s = signalsOf(n, looks.window);
  const radius = nodeRadius(n, looks.window);
  const chosen = n.id === looks.selectedNode;
  const near = n.id === looks.hoverNode;
  const faded = looks.focus !== undefined && !looks.focus.has(n.id);
  const loud = isUnwell(n.health) && !state.victim;
  const color = state.trouble === 'throttled' ? p.throttled : healthColor(n.health, p);
  const ring = loud
    ? color
    : state.victim
      ? mix(color, p.ink3, 0.6)
      : n.health === 'idle'
        ? p.idle
        : n.kind === 'service'
          ? p.ok
          : mix(p.ok, p.ink3, 0.5);
  const body = loud ? mix(p.node, color, n.health === 'failing' ? 0.28 : 0.16) : p.node;
  const halo = faded ? 0 : state.culprit || (loud && n.health === 'failing') ? 1 : loud ? 0.55 : near ? 0.4 : 0;
  const errors = errorShare(s);
  const throttled = throttledShare(s);
  const ringKind = state.trouble === undefined ? 0 : RING[state.trouble];
  out.push(at.x, at.y, radius, KIND[n.kind], ...body, ...ring, errors, throttled, halo, faded ? 0.16 : 1);
  out.push(chosen ? 1 : 0, young && !faded ? 0.9 : 0, ringKind, state.culprit ? 1 : 0);

  if (!labels.near(at)) return (loud && !faded) || young;
  const scale = nodeScale(view.zoom);
  const gauge = errors + throttled > 0.01 ? 7 : 1;
  const reach = radius * scale * (n.kind === 'queue' ? 1.2 : 1) + (ringKind > 0 ? 4 : 1);
  labels.obstacle(n.id, (at.x - view.x) * view.zoom - reach, (at.y - view.y) * view.zoom - reach, 2 * reach, 2 * reach);

  const strong = chosen || near || loud;
  const drop = radius * (n.kind === 'external' ? 1.25 : n.kind === 'queue' ? 0.85 : 1.05);
  const under: Spot = { at, scaledY: drop, fixedY: 11 + gauge };
  const over: Spot = { at, scaledY: -drop, fixedY: -11 - gauge };
  const weight =
    (chosen || near ? 1000 : state.culprit ? 700 : loud ? (n.health === 'failing' ? 450 : 400) : 100) +
    Math.min(90, 8 * Math.floor(Math.log2(1 + s.rate)));
  labels.offer({
    key: `N${n.id}`,
    words: short(n.name),
    ink: plainInk(
      p,
      loud && n.health === 'failing' ? mix(p.failing, p.ink, 0.35) : n.kind === 'service' || strong ? p.ink : p.ink2,
      n.kind === 'service' ? 600 : 500,
      12.5,
    ),
    weight,
    leastZoom: strong ? 0.1 : 0.24,
    opacity: faded ? 0.22 : 1,
    spot: listed([under, over]),
  });
  if (s.rate > 0 && view.zoom >= 0.5)
    labels.offer({
      key: `n${n.id}`,
      words: figures(`n${n.id}`, () => `${rate(s.rate)}  ${duration(s.p99)}`),
      ink: plainInk(p, loud && n.health === 'degraded' ? p.degraded : p.ink3, 500, 10.5),
      weight: weight - 60,
      leastZoom: 0.5,
      opacity: faded ? 0.15 : 1,
      spot: listed([{ at, scaledY: drop, fixedY: 26 + gauge }]),
    });
  return (loud && !faded) || young;
}
