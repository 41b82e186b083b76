import type { GraphEdge, GraphNode, Health, NodeKind } from '../api/types';
import { alpha, css, mix, type RGBA } from '../base/color';
import { duration, percent, rate } from '../base/format';
import { curveAt, curveLength, type Curve, type Point } from '../base/geometry';
import { hash32 } from '../base/hash';
import { errorShare, signalsOf, tellingFigure, throttledShare, type GraphModel } from '../model/graph';
import type { Atlas, Ink, Region } from './atlas';
import type { Area } from './area';
import { STRIDE, type Palette, type Renderer } from './renderer';

// From the model to the instance buffers. Runs when data, selection or theme change, never for a pan.
//
// What is calm and what is loud: all that is well is drawn in one quiet colour, thin and half transparent. Colour,
// glow, motion and words are spent only on what is not.
//
// Invariant: a dot never jumps. Its place is phase + time * laps; when an edge's laps change, its offset takes up the
// difference at that moment. Dots come and go at the end of the list, each fading by the fraction of its count.

/** What the user points at, has selected, or focuses on, and the window of the figures that are shown. */
export interface Looks {
  selectedNode: string | undefined;
  selectedEdge: string | undefined;
  hoverNode: string | undefined;
  hoverEdge: string | undefined;
  /** When given, all else is faded. */
  focus: ReadonlySet<string> | undefined;
  window: string;
}

interface Motion {
  laps: number;
  offset: number;
}

const KIND: Record<NodeKind, number> = { service: 0, database: 1, queue: 2, external: 3, client: 4 };
const SANS = 'ui-sans-serif, "Inter", "SF Pro Text", "Segoe UI", system-ui, "Liberation Sans", sans-serif';
const SERIF = '"Iowan Old Style", "Palatino Linotype", Palatino, Georgia, "Liberation Serif", serif';
/** An edge counts as new for so long, and its node draws a ring. */
const NEW_FOR = 25_000;
/** Figures in words change at most so often: more could not be read. */
const WORDS_FOR = 1500;
const FRESH_WORDS = 6;
const MAX_DOTS = 14;

class Floats {
  data = new Float32Array(1024);
  n = 0;

  push(...v: readonly number[]): void {
    if (this.n + v.length > this.data.length) {
      const grown = new Float32Array(this.data.length * 2);
      grown.set(this.data);
      this.data = grown;
    }
    this.data.set(v, this.n);
    this.n += v.length;
  }
}

export class Scene {
  places = new Map<string, Point>();
  curves = new Map<string, Curve>();
  areas: readonly Area[] = [];
  private readonly lengths = new Map<string, number>();
  private readonly motions = new Map<string, Motion>();
  private readonly words = new Map<string, { text: string; until: number }>();
  private freshWords = 0;
  private readonly buffers = { ribbon: new Floats(), dot: new Floats(), node: new Floats(), sprite: new Floats() };

  setArrangement(places: Map<string, Point>, curves: Map<string, Curve>, areas: readonly Area[]): void {
    this.places = places;
    this.curves = curves;
    this.areas = areas;
    this.lengths.clear();
    for (const [id, c] of curves) this.lengths.set(id, curveLength(c));
    for (const id of this.motions.keys()) if (!curves.has(id)) this.motions.delete(id);
  }

  /** Sets the clock of the dots back by `seconds` without moving any of them. */
  rebase(seconds: number): void {
    for (const m of this.motions.values()) m.offset = fract(m.offset + seconds * m.laps);
  }

  /**
   * Draws the model into the renderer's buffers. Answers whether anything in it moves by itself. In `haste`, while a
   * hand moves the map, words that are there stay as they are.
   */
  build(model: GraphModel, looks: Looks, p: Palette, renderer: Renderer, seconds: number, haste: boolean): boolean {
    this.freshWords = haste ? 0 : FRESH_WORDS;
    const generation = renderer.atlas.generation;
    let moves = this.fill(model, looks, p, renderer.atlas, seconds);
    // The texture overflowed half-way and forgot what it had: once more, from empty.
    if (renderer.atlas.generation !== generation) moves = this.fill(model, looks, p, renderer.atlas, seconds);
    for (const layer of ['ribbon', 'dot', 'node', 'sprite'] as const) {
      const f = this.buffers[layer];
      renderer.fill(layer, f.data, f.n / STRIDE[layer]);
    }
    return moves;
  }

  private fill(model: GraphModel, looks: Looks, p: Palette, atlas: Atlas, seconds: number): boolean {
    for (const f of Object.values(this.buffers)) f.n = 0;
    const lit = litEdges(model, looks);
    let moves = false;
    const newborn = new Set<string>();
    for (const e of model.edges.values()) {
      const c = this.curves.get(e.id);
      if (c === undefined || !model.complete(e)) continue;
      const isNew =
        model.origin === 'live' &&
        e.first_seen > 0 &&
        model.time - e.first_seen < NEW_FOR &&
        model.time - e.first_seen >= 0;
      if (isNew) newborn.add(e.id);
      const strength =
        looks.focus !== undefined && !(looks.focus.has(e.source) && looks.focus.has(e.target))
          ? 0.08
          : lit === undefined
            ? 1
            : lit.has(e.id)
              ? 1.5
              : 0.38;
      moves = this.edge(e, c, strength, isNew, looks, p, atlas, seconds) || moves;
    }
    for (const n of model.nodes.values()) {
      const at = this.places.get(n.id);
      if (at !== undefined) moves = this.node(n, at, model, looks, p, atlas) || moves;
    }
    for (const a of this.areas) {
      const region = atlas.get(a.group, {
        font: `italic 500 17px ${SERIF}`,
        color: css(p.ink3),
        rim: css(p.backdrop),
        spacing: '2.5px',
      });
      this.sprite(a.label, 0, 0, region, 0.12, looks.focus === undefined ? 1 : 0.4);
    }
    return moves || newborn.size > 0;
  }

  private edge(
    e: GraphEdge,
    c: Curve,
    strength: number,
    isNew: boolean,
    looks: Looks,
    p: Palette,
    atlas: Atlas,
    seconds: number,
  ): boolean {
    const s = signalsOf(e, looks.window);
    const length = this.lengths.get(e.id) ?? 1;
    const idle = s.rate <= 0;
    const base = isNew ? p.accent : healthColor(idle ? 'idle' : e.health, p);
    const loud = e.health === 'failing' || e.health === 'degraded' || isNew;
    const chosen = e.id === looks.selectedEdge || e.id === looks.hoverEdge;
    const opacity = Math.min(1, (idle ? 0.5 : loud ? 0.85 : 0.5) * strength + (chosen ? 0.3 : 0));
    const width = idle ? 1.1 : 1.1 + 1.75 * Math.log10(1 + s.rate);
    const glow = chosen ? 0.9 : e.health === 'failing' && !idle ? 0.9 : isNew ? 0.6 : 0;
    const line = chosen && !loud ? mix(base, p.accent, 0.75) : base;
    this.buffers.ribbon.push(
      ...c,
      width,
      strength < 0.3 ? 0 : glow,
      idle ? 1 : 0,
      length,
      ...premultiplied(alpha(line, opacity)),
    );
    const rim = 1 - Math.min(0.45, 31 / length);
    this.buffers.dot.push(
      ...c,
      rim,
      0,
      4.2 + width * 0.55,
      1,
      ...premultiplied(alpha(line, Math.min(1, opacity + 0.15))),
    );
    if (strength > 0.3) this.badges(e, c, looks, p, atlas, strength);
    if (idle || strength < 0.3) return false;

    // Slow calls travel slowly.
    const laps = Math.round(2000 / (1 + 0.8 * Math.log10(1 + (s.p99 ?? 0) / 20))) / 20 / length;
    const motion = this.motions.get(e.id);
    if (motion === undefined) this.motions.set(e.id, { laps, offset: (hash32(e.id) % 997) / 997 });
    else if (motion.laps !== laps) {
      motion.offset = fract(motion.offset + seconds * (motion.laps - laps));
      motion.laps = laps;
    }
    const offset = this.motions.get(e.id)!.offset;
    const many = Math.min(MAX_DOTS * (length / 240), (length / 240) * 0.8 * Math.sqrt(s.rate) + 0.6);
    const wrong = few(errorShare(s), many);
    const refused = few(throttledShare(s), many);
    const size = 1.7 + Math.min(1.3, Math.log10(1 + s.rate) * 0.5);
    for (let i = 0; i < many; i++) {
      const kind = i < wrong ? 0 : i < wrong + refused ? 2 : 0;
      const tone =
        i < wrong
          ? p.failing
          : i < wrong + refused
            ? p.throttled
            : isNew
              ? p.accent
              : e.health === 'degraded'
                ? p.degraded
                : mix(p.ok, p.ink, 0.45);
      const big = i < wrong + refused ? 1.35 : 1;
      this.buffers.dot.push(
        ...c,
        fract(offset + i * 0.618034),
        laps,
        size * big,
        kind,
        ...premultiplied(alpha(tone, Math.min(1, many - i) * Math.min(1, 0.9 * strength))),
      );
    }
    return true;
  }

  private badges(e: GraphEdge, c: Curve, looks: Looks, p: Palette, atlas: Atlas, strength: number): void {
    const s = signalsOf(e, looks.window);
    const telling = tellingFigure(e.health, s);
    const at = (t: number): Point => curveAt(c, t);
    const opacity = Math.min(1, strength * 1.4);
    // Badges stand one above the other: side by side they would cover one another on a short edge.
    let up = -15;
    if (s.throttled_rate > 0.01) {
      const words = this.steady(`t${e.id}`, () => rate(s.throttled_rate));
      this.sprite(
        at(0.5),
        0,
        up,
        atlas.get(words, { font: `600 11px ${SANS}`, color: css(p.backdrop), plate: css(p.throttled), icon: 'gate' }),
        0.42,
        opacity,
      );
      up -= 20;
    }
    if (telling === 'errors') {
      const words = this.steady(`e${e.id}`, () => percent(errorShare(s)));
      this.sprite(
        at(0.5),
        0,
        up,
        atlas.get(words, {
          font: `600 11px ${SANS}`,
          color: css(p.backdrop),
          plate: css(e.health === 'failing' ? p.failing : p.degraded),
          icon: 'spike',
        }),
        0.36,
        opacity,
      );
    } else if (telling === 'latency' && s.p99 !== undefined) {
      const words = this.steady(`l${e.id}`, () => duration(s.p99));
      this.sprite(
        at(0.5),
        0,
        up,
        atlas.get(words, {
          font: `600 11px ${SANS}`,
          color: css(p.backdrop),
          plate: css(e.health === 'failing' ? p.failing : p.degraded),
        }),
        e.health === 'failing' ? 0.36 : 0.42,
        opacity,
      );
    }
    // Mutual TLS is the normal state of a mesh: a small mark, near. Its absence or a mix shows from further off.
    if (e.mtls >= 0) {
      const whole = e.mtls > 0.995;
      const ink: Ink = {
        font: `500 11px ${SANS}`,
        color: css(whole ? p.ink3 : e.mtls > 0 ? p.degraded : p.ink3),
        rim: css(p.backdrop),
        icon: whole ? 'lock' : 'unlock',
      };
      this.sprite(
        at(0.36),
        0,
        -11,
        atlas.get(whole || e.mtls === 0 ? '' : percent(e.mtls), ink),
        whole ? 0.66 : 0.45,
        opacity,
      );
    }
    if (e.id === looks.selectedEdge || e.id === looks.hoverEdge) {
      const words = this.steady(`r${e.id}`, () => `${rate(s.rate)} · ${duration(s.p99)}`);
      this.sprite(
        at(0.5),
        0,
        24,
        atlas.get(words, { font: `600 11.5px ${SANS}`, color: css(p.ink), plate: css(p.node), rim: css(p.accent) }),
        0,
        1,
      );
    }
  }

  private node(n: GraphNode, at: Point, model: GraphModel, looks: Looks, p: Palette, atlas: Atlas): boolean {
    const s = signalsOf(n, looks.window);
    const radius = nodeRadius(n, looks.window);
    const chosen = n.id === looks.selectedNode;
    const near = n.id === looks.hoverNode;
    const out = looks.focus !== undefined && !looks.focus.has(n.id);
    const loud = n.health === 'failing' || n.health === 'degraded';
    const ring = loud
      ? healthColor(n.health, p)
      : n.health === 'idle'
        ? p.idle
        : n.kind === 'service'
          ? p.ok
          : mix(p.ok, p.ink3, 0.5);
    const body =
      n.health === 'failing'
        ? mix(p.node, p.failing, 0.28)
        : n.health === 'degraded'
          ? mix(p.node, p.degraded, 0.16)
          : p.node;
    const opacity = out ? 0.16 : 1;
    const halo = out ? 0 : n.health === 'failing' ? 1 : n.health === 'degraded' ? 0.55 : near ? 0.4 : 0;
    const young =
      model.origin === 'live' &&
      model.incoming(n.id).some((e) => e.first_seen > 0 && model.time - e.first_seen < NEW_FOR / 2);
    this.buffers.node.push(
      at.x,
      at.y,
      radius,
      KIND[n.kind],
      ...body,
      ...ring,
      errorShare(s),
      throttledShare(s),
      halo,
      opacity,
      chosen ? 1 : 0,
      young && !out ? 0.9 : 0,
      0,
      0,
    );
    const strong = chosen || near || loud;
    const name = atlas.get(short(n.name), {
      font: `${n.kind === 'service' ? 600 : 500} 12.5px ${SANS}`,
      rim: css(p.backdrop),
      color: css(
        n.health === 'failing' ? mix(p.failing, p.ink, 0.35) : n.kind === 'service' || strong ? p.ink : p.ink2,
      ),
    });
    const drop =
      radius * (n.kind === 'external' ? 1.25 : n.kind === 'queue' ? 0.85 : 1.05) +
      (errorShare(s) + throttledShare(s) > 0.01 ? 7 : 1);
    this.sprite(at, drop, 11, name, strong ? 0.16 : 0.4, out ? 0.22 : 1);
    if (s.rate > 0) {
      const words = this.steady(`n${n.id}`, () => `${rate(s.rate)}  ${duration(s.p99)}`);
      this.sprite(
        at,
        drop,
        26,
        atlas.get(words, {
          font: `500 10.5px ${SANS}`,
          color: css(n.health === 'degraded' ? p.degraded : p.ink3),
          rim: css(p.backdrop),
        }),
        strong ? 0.5 : 0.64,
        out ? 0.15 : 1,
      );
    }
    return (loud && !out) || young;
  }

  private sprite(at: Point, scaledY: number, fixedY: number, r: Region, leastZoom: number, opacity: number): void {
    this.buffers.sprite.push(at.x, at.y, scaledY, fixedY, r.w, r.h, leastZoom, opacity, ...r.uv);
  }

  /** Words that stay readable: recomputed only after a while. */
  private steady(key: string, make: () => string): string {
    const now = performance.now();
    const known = this.words.get(key);
    // A word that changes is drawn and sent to the texture: a few a build, so that no frame pays for all of them.
    if (known !== undefined && (known.until > now || this.freshWords <= 0)) return known.text;
    this.freshWords--;
    if (this.words.size > 20_000) this.words.clear();
    const text = make();
    this.words.set(key, { text, until: now + WORDS_FOR });
    return text;
  }
}

/** The radius of a node in CSS pixels at zoom 1. */
export function nodeRadius(n: GraphNode, window: string): number {
  const r = signalsOf(n, window).rate;
  return (n.kind === 'service' ? 14 : 12) + 2.6 * Math.log10(1 + Math.max(0, r));
}

export function healthColor(h: Health, p: Palette): RGBA {
  return h === 'failing' ? p.failing : h === 'degraded' ? p.degraded : h === 'idle' ? p.idle : p.ok;
}

/** Edges of what is pointed at or selected; undefined when nothing is, and all are equal. */
function litEdges(model: GraphModel, looks: Looks): Set<string> | undefined {
  const node = looks.hoverNode ?? looks.selectedNode;
  if (node !== undefined && model.nodes.has(node))
    return new Set([...model.incoming(node), ...model.outgoing(node)].map((e) => e.id));
  const edge = looks.hoverEdge ?? looks.selectedEdge;
  return edge !== undefined && model.edges.has(edge) ? new Set([edge]) : undefined;
}

/** How many of `many` dots stand for a share: at least one where the share is worth showing. */
function few(share: number, many: number): number {
  return share < 0.004 ? 0 : Math.max(1, Math.round(share * many));
}

function short(name: string): string {
  return name.length > 26 ? `${name.slice(0, 12)}…${name.slice(-12)}` : name;
}

function fract(v: number): number {
  return v - Math.floor(v);
}

function premultiplied(c: RGBA): [number, number, number, number] {
  return [c[0] * c[3], c[1] * c[3], c[2] * c[3], c[3]];
}
