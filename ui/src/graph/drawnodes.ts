import type { GraphNode, NodeKind } from '../api/types';
import { duration, rate } from '../base/format';
import type { Point } from '../base/geometry';
import { errorShare, signalsOf, throttledShare } from '../model/graph';
import type { DiffMark } from '../model/diff';
import type { Part, Trouble } from '../model/trouble';
import type { View } from './camera';
import {
  diffInk,
  findingInk,
  mix,
  nodeRadius,
  nodeScale,
  plainInk,
  plateInk,
  short,
  TROUBLE_ICON,
  troubleColor,
  type Floats,
  type Looks,
} from './ink';
import { listed, type Labels, type Spot } from './labels';
import type { Palette } from './renderer';

// Nodes and their words. How one is unwell shows by the shape of its ring as well as by colour. Who is to blame is solid, bears
// the trouble's sign and its name on a plate; who suffers has a ring of dashes in a quiet colour, and no figure of its own is loud.

const KIND: Record<NodeKind, number> = { service: 0, database: 1, queue: 2, external: 3, client: 4, group: 0 };
const RING: Record<Trouble, number> = { slow: 1, failing: 2, throttled: 3, cut_off: 4 };
const VICTIMS_RING = 5;
/** No culprit is smaller, however little it is called. */
const CULPRIT_RADIUS = 20;

export interface NodeState {
  at: Point;
  /** It has an edge that is new. */
  young: boolean;
  /** Its part in what is wrong. */
  part: Part;
  trouble: Trouble | undefined;
  /** How many findings are about it. */
  findings: number;
  /** How it differs from another time. */
  diff: DiffMark | undefined;
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
  const { at, young, part } = state;
  const s = signalsOf(n, looks.window);
  const culprit = part === 'culprit';
  const victim = part === 'victim';
  const loud = culprit || part === 'accused';
  const radius = culprit ? Math.max(CULPRIT_RADIUS, nodeRadius(n, looks.window)) : nodeRadius(n, looks.window);
  const chosen = n.id === looks.selectedNode;
  const near = n.id === looks.hoverNode;
  const faded = looks.focus !== undefined && !looks.focus.has(n.id);
  const same = looks.diff !== undefined && state.diff === undefined;
  const color = troubleColor(state.trouble, p);
  const ghost = n.ghost === true;
  const well = ghost
    ? p.ink3
    : state.diff?.change === 'added'
      ? p.accent
      : n.health === 'idle'
        ? p.idle
        : n.kind === 'service'
          ? p.ok
          : mix(p.ok, p.ink3, 0.5);
  const ring = loud ? color : victim ? p.victim : well;
  const body = culprit ? mix(color, p.node, 0.06) : loud ? mix(p.node, color, 0.2) : p.node;
  const halo = faded || same ? 0 : culprit ? 1 : loud ? 0.6 : near ? 0.4 : 0;
  // What a victim passes on is no error of its own.
  const errors = victim ? 0 : errorShare(s);
  const throttled = victim ? 0 : throttledShare(s);
  const ringKind = victim || ghost ? VICTIMS_RING : state.trouble === undefined ? 0 : RING[state.trouble];
  out.push(at.x, at.y, radius, KIND[n.kind], ...body, ...ring, errors, throttled, halo, faded ? 0.16 : same ? 0.4 : 1);
  out.push(chosen ? 1 : 0, young && !faded ? 0.9 : 0, ringKind, culprit ? 1 : 0);

  if (!labels.near(at)) return (loud && !faded) || young;
  const scale = nodeScale(view.zoom);
  const gauge = errors + throttled > 0.01 ? 7 : 1;
  const reach = radius * scale * (n.kind === 'queue' ? 1.2 : 1) + (ringKind > 0 ? 5 : 1);
  labels.obstacle(n.id, (at.x - view.x) * view.zoom - reach, (at.y - view.y) * view.zoom - reach, 2 * reach, 2 * reach);

  const strong = chosen || near || loud;
  const drop = radius * (n.kind === 'external' ? 1.25 : n.kind === 'queue' ? 0.85 : 1.05);
  const apart = (culprit ? 15 : 11) + gauge;
  const under: Spot = { at, scaledY: drop, fixedY: apart };
  const over: Spot = { at, scaledY: -drop, fixedY: -apart };
  const weight =
    (culprit
      ? 2000 + Math.min(900, 40 * Math.log2(1 + (n.judgement?.score ?? 0)))
      : chosen || near
        ? 1000
        : loud
          ? 420
          : victim
            ? 300
            : 100) + Math.min(90, 8 * Math.floor(Math.log2(1 + s.rate)));
  labels.offer({
    key: `N${n.id}`,
    words: short(n.name),
    ink: culprit
      ? { ...plateInk(p, color, 12.5), icon: TROUBLE_ICON[state.trouble ?? 'failing'] }
      : plainInk(
          p,
          loud ? mix(color, p.ink, 0.35) : n.kind === 'service' || strong ? p.ink : p.ink2,
          n.kind === 'service' ? 600 : 500,
          12.5,
        ),
    weight,
    leastZoom: culprit ? 0 : strong || victim ? 0.1 : 0.24,
    opacity: faded ? 0.22 : same ? 0.5 : 1,
    owner: n.id,
    whole: culprit,
    spot: culprit ? around(at, radius * scale, n.name, view.zoom, [under, over]) : listed([under, over]),
  });
  const aside = (radius * scale + 9) / view.zoom;
  if (state.findings > 0)
    labels.offer({
      key: `k${n.id}`,
      words: state.findings > 1 ? String(state.findings) : '',
      ink: findingInk(p),
      weight: 380,
      leastZoom: 0.1,
      opacity: faded ? 0.22 : 1,
      owner: n.id,
      spot: listed(
        [aside, -aside].flatMap((dx) =>
          [-0.75, 0.75].map((dy) => ({ at: { x: at.x + dx, y: at.y }, scaledY: dy * radius, fixedY: 0 })),
        ),
      ),
    });
  if (state.diff !== undefined)
    labels.offer({
      key: `d${n.id}`,
      words: state.diff.words,
      ink: diffInk(state.diff, p),
      weight: 1500,
      leastZoom: 0.05,
      opacity: faded ? 0.22 : 1,
      owner: n.id,
      spot: around(at, radius * scale, state.diff.words, view.zoom, [over, under]),
    });
  if (s.rate > 0 && view.zoom >= 0.5)
    labels.offer({
      key: `n${n.id}`,
      words: figures(`n${n.id}`, () => `${rate(s.rate)}  ${duration(s.p99)}`),
      ink: plainInk(p, loud && state.trouble === 'slow' ? p.degraded : p.ink3, 500, 10.5),
      weight: weight - 60,
      leastZoom: 0.5,
      opacity: faded ? 0.15 : 1,
      owner: n.id,
      after: `N${n.id}`,
      spot: listed([{ at, scaledY: drop, fixedY: (culprit ? 33 : 26) + gauge }]),
    });
  return (loud && !faded) || young;
}

/** Where a culprit's plate may stand: it is shown however full the map is, so it goes further off, and aside. */
function around(
  at: Point,
  r: number,
  name: string,
  zoom: number,
  near: readonly Spot[],
): (i: number) => Spot | undefined {
  const aside = (r + 26 + 4 * Math.min(26, name.length)) / zoom;
  const spots = [...near];
  for (const dy of [0, 22, -22]) {
    spots.push({ at: { x: at.x + aside, y: at.y }, scaledY: 0, fixedY: dy });
    spots.push({ at: { x: at.x - aside, y: at.y }, scaledY: 0, fixedY: dy });
  }
  for (const dy of [44, -44, 66, -66, 92, -92]) spots.push({ at, scaledY: 0, fixedY: dy });
  return listed(spots);
}
