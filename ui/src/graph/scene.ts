import type { GraphEdge, GraphNode } from '../api/types';
import type { Curve, Point, Rect } from '../base/geometry';
import type { GraphModel } from '../model/graph';
import { blameOf, isUnwell, partOfEdge, troubleOf } from '../model/trouble';
import { noticed, type Noticed } from '../model/findings';
import { wakeOf, type Wake } from '../model/wake';
import type { Area } from './area';
import type { View } from './camera';
import { drawBlame, drawWake } from './drawblame';
import { EdgeDrawer } from './drawedges';
import { drawGroup } from './drawgroups';
import { drawNode } from './drawnodes';
import { Floats, placeInk, type Looks } from './ink';
import { Labels, listed } from './labels';
import { STRIDE, type Layer, type Palette, type Renderer } from './renderer';

// From the model to the instance buffers. Runs when data, selection or theme change and when the map comes to rest, never
// for a pan.
//
// What is calm and what is loud: all that is well is drawn in one quiet colour, thin and half transparent. Colour,
// glow, motion and words are spent only on what is not.

/** An edge counts as new for so long, and its node draws a ring. */
const NEW_FOR = 25_000;
/** Figures in words change at most so often: more could not be read. */
const WORDS_FOR = 1500;

export class Scene {
  places = new Map<string, Point>();
  curves = new Map<string, Curve>();
  rects = new Map<string, Rect>();
  areas: readonly Area[] = [];
  readonly labels = new Labels();
  private readonly edges = new EdgeDrawer();
  private wake: Wake = { edges: new Set(), apart: [] };
  private noted: Noticed = { nodes: new Map(), edges: new Map() };
  private wakeAt = '';
  private readonly words = new Map<string, { text: string; until: number }>();
  private readonly buffers: Record<Layer, Floats> = {
    ground: new Floats(),
    ribbon: new Floats(),
    dot: new Floats(),
    box: new Floats(),
    node: new Floats(),
    sprite: new Floats(),
  };

  setArrangement(
    places: Map<string, Point>,
    curves: Map<string, Curve>,
    areas: readonly Area[],
    rects: Map<string, Rect>,
  ): void {
    this.places = places;
    this.curves = curves;
    this.areas = areas;
    this.rects = rects;
    this.edges.setCurves(curves);
  }

  /** Sets the clock of the dots back by `seconds` without moving any of them. */
  rebase(seconds: number): void {
    this.edges.rebase(seconds);
  }

  /**
   * Draws the model into the renderer's buffers for a view. Answers whether anything in it moves by itself, and whether
   * words wait for the next build. With no time for new words (`freshMs` is 0), while a hand moves the map, those that are
   * there stay as they are.
   */
  build(
    model: GraphModel,
    looks: Looks,
    p: Palette,
    renderer: Renderer,
    view: View,
    size: { w: number; h: number },
    seconds: number,
    freshMs: number,
  ): { moves: boolean; waiting: boolean } {
    const haste = freshMs === 0;
    const fill = (): { moves: boolean; waiting: boolean } => {
      for (const f of Object.values(this.buffers)) f.n = 0;
      this.labels.begin(view, size);
      const moves = this.fill(model, looks, p, view, seconds, haste);
      return { moves, waiting: this.labels.place(renderer.atlas, this.buffers.sprite, freshMs) };
    };
    const generation = renderer.atlas.generation;
    let done = fill();
    // The texture overflowed half-way and forgot what it had: once more, from empty.
    if (renderer.atlas.generation !== generation) done = fill();
    for (const [layer, f] of Object.entries(this.buffers) as [Layer, Floats][])
      renderer.fill(layer, f.data, f.n / STRIDE[layer]);
    return done;
  }

  private fill(model: GraphModel, looks: Looks, p: Palette, view: View, seconds: number, haste: boolean): boolean {
    const figures = (key: string, make: () => string): string => this.steady(key, make, haste);
    const lit = litEdges(model, looks);
    const newborn = new Set<string>();
    const hidden = looks.hideHealthy ? healthy(model) : undefined;
    const at = `${model.version} ${model.time}`;
    if (this.wakeAt !== at) {
      this.wakeAt = at;
      this.wake = wakeOf(model);
      this.noted = noticed(model);
    }
    let moves = false;
    this.edges.weigh(model.edges, looks.window);
    for (const e of model.edges.values()) {
      const c = this.curves.get(e.id);
      if (c === undefined || !model.complete(e)) continue;
      if (hidden !== undefined && (hidden.has(e.source) || hidden.has(e.target))) continue;
      const age = model.time - e.first_seen;
      const isNew = model.origin === 'live' && e.first_seen > 0 && age < NEW_FOR && age >= 0;
      if (isNew && age < NEW_FOR / 2) newborn.add(e.target);
      const strength = strengthOf(e, looks, lit);
      const buffers = { ribbon: this.buffers.ribbon, dot: this.buffers.dot };
      const inWake = this.wake.edges.has(e.id);
      if (inWake) drawWake(c, strength, p, buffers);
      moves =
        this.edges.draw(
          e,
          c,
          {
            ...{ strength, isNew, inWake, part: partOfEdge(e, model) },
            findings: this.noted.edges.get(e.id)?.length ?? 0,
            diff: looks.diff?.edges.get(e.id),
            unused: model.time - e.last_seen,
          },
          looks,
          p,
          buffers,
          this.labels,
          figures,
          seconds,
        ) ||
        isNew ||
        moves;
    }
    for (const n of model.nodes.values()) {
      if (hidden?.has(n.id) === true) continue;
      const rect = this.rects.get(n.id);
      const at = this.places.get(n.id);
      if (n.group !== undefined) {
        const told = { findings: this.noted.nodes.get(n.id)?.length ?? 0, diff: looks.diff?.nodes.get(n.id) };
        if (rect !== undefined) drawGroup(n, rect, told, looks, p, view, this.buffers, this.labels);
      } else if (at !== undefined) moves = this.node(n, at, newborn.has(n.id), looks, p, view, figures) || moves;
    }
    for (const [victim, cause] of this.wake.apart) {
      const from = this.places.get(victim);
      const to = this.places.get(cause);
      if (from !== undefined && to !== undefined) drawBlame(from, to, p, this.buffers);
    }
    for (const a of this.areas)
      this.labels.offer({
        key: `a${a.group}`,
        words: a.group,
        ink: placeInk(p),
        weight: 200,
        leastZoom: 0.12,
        opacity: looks.focus === undefined ? 1 : 0.4,
        spot: listed([0, -16, 16, -32].map((fixedY) => ({ at: a.label, scaledY: 0, fixedY }))),
      });
    return moves;
  }

  private node(
    n: GraphNode,
    at: Point,
    young: boolean,
    looks: Looks,
    p: Palette,
    view: View,
    figures: (key: string, make: () => string) => string,
  ): boolean {
    const state = {
      ...{ at, young, part: blameOf(n).part, trouble: troubleOf(n, looks.window) },
      findings: this.noted.nodes.get(n.id)?.length ?? 0,
      diff: looks.diff?.nodes.get(n.id),
    };
    return drawNode(n, state, looks, p, view, this.buffers.node, this.labels, figures);
  }

  /** Words that stay readable: recomputed only after a while, and never while the map is in hand. */
  private steady(key: string, make: () => string, haste: boolean): string {
    const now = performance.now();
    const known = this.words.get(key);
    if (known !== undefined && (known.until > now || haste)) return known.text;
    if (this.words.size > 20_000) this.words.clear();
    const text = make();
    this.words.set(key, { text, until: now + WORDS_FOR });
    return text;
  }
}

function strengthOf(e: GraphEdge, looks: Looks, lit: ReadonlySet<string> | undefined): number {
  if (looks.diff !== undefined && !looks.diff.edges.has(e.id) && lit?.has(e.id) !== true) return 0.3;
  if (looks.focus !== undefined && !(looks.focus.has(e.source) && looks.focus.has(e.target))) return 0.08;
  return lit === undefined ? 1 : lit.has(e.id) ? 1.5 : 0.38;
}

/** Nodes that are well and are on no edge that is not. */
function healthy(model: GraphModel): Set<string> {
  const well = new Set([...model.nodes.values()].filter((n) => !isUnwell(n.health)).map((n) => n.id));
  for (const e of model.edges.values()) {
    if (!isUnwell(e.health)) continue;
    well.delete(e.source);
    well.delete(e.target);
  }
  return well;
}

/** Edges of what is pointed at or selected; undefined when nothing is, and all are equal. */
function litEdges(model: GraphModel, looks: Looks): Set<string> | undefined {
  const node = looks.hoverNode ?? looks.selectedNode;
  if (node !== undefined && model.nodes.has(node))
    return new Set([...model.incoming(node), ...model.outgoing(node)].map((e) => e.id));
  const edge = looks.hoverEdge ?? looks.selectedEdge;
  return edge !== undefined && model.edges.has(edge) ? new Set([edge]) : undefined;
}
