import type { GraphEdge, Signals } from '../api/types';
import { duration, percent, rate } from '../base/format';
import { curveAt, curveLength, type Curve } from '../base/geometry';
import { hash32 } from '../base/hash';
import { errorShare, signalsOf, throttledShare } from '../model/graph';
import type { DiffMark } from '../model/diff';
import { troubleOf, type Part, type Trouble } from '../model/trouble';
import type { Ink } from './atlas';
import {
  alpha,
  css,
  diffInk,
  findingInk,
  mix,
  plainInk,
  plateInk,
  premultiplied,
  SANS,
  TROUBLE_ICON,
  troubleColor,
  type Floats,
  type Looks,
} from './ink';
import type { Labels, Spot } from './labels';
import type { Palette } from './renderer';

// Edges: the line, the dots that travel on it, and its badges.
//
// Invariant: a dot never jumps. Its place is phase + time * laps; when an edge's laps change, its offset takes up the
// difference at that moment. Dots come and go at the end of the list, each fading by the fraction of its count.

interface Motion {
  laps: number;
  offset: number;
}

const MAX_DOTS = 14;
/** Of a map with more edges than this, only the heaviest have dots, and the light ones are drawn faintly. */
const MANY = 200;
const HEAVY = 90;
/** Who was not used for so long is drawn as faintly as anything. */
const FADED_MS = 300_000;

export interface EdgeLook {
  /** 1 is as usual; less than 0.3 is hardly there. */
  strength: number;
  isNew: boolean;
  /** It is on the way from a victim to its cause. */
  inWake: boolean;
  part: Part;
  /** How many findings are about it. */
  findings: number;
  /** How it differs from another time. */
  diff: DiffMark | undefined;
  /** Milliseconds since it was used. */
  unused: number;
}

/** What of an edge is unwell, and whether that is loud. */
interface Ill {
  part: Part;
  trouble: Trouble | undefined;
  loud: boolean;
  quiet: boolean;
}

export class EdgeDrawer {
  private readonly lengths = new Map<string, number>();
  private readonly motions = new Map<string, Motion>();
  private heavyFrom = 0;
  private many = false;

  setCurves(curves: ReadonlyMap<string, Curve>): void {
    this.lengths.clear();
    for (const [id, c] of curves) this.lengths.set(id, curveLength(c));
    for (const id of this.motions.keys()) if (!curves.has(id)) this.motions.delete(id);
  }

  /** Sets the clock of the dots back by `seconds` without moving any of them. */
  rebase(seconds: number): void {
    for (const m of this.motions.values()) m.offset = fract(m.offset + seconds * m.laps);
  }

  /** Looks which edges carry the most, before any is drawn. */
  weigh(edges: ReadonlyMap<string, GraphEdge>, window: string): void {
    this.many = edges.size > MANY;
    if (!this.many) return;
    const rates = Float64Array.from(edges.values(), (e) => signalsOf(e, window).rate).sort();
    this.heavyFrom = rates[rates.length - HEAVY] ?? 0;
  }

  /** Draws an edge; answers whether it moves. */
  draw(
    e: GraphEdge,
    c: Curve,
    look: EdgeLook,
    looks: Looks,
    p: Palette,
    out: { ribbon: Floats; dot: Floats },
    labels: Labels,
    figures: (key: string, make: () => string) => string,
    seconds: number,
  ): boolean {
    const { isNew } = look;
    const s = signalsOf(e, looks.window);
    const { part } = look;
    const ill: Ill = {
      part,
      trouble: troubleOf(e, looks.window),
      loud: part === 'culprit' || part === 'accused',
      quiet: part === 'victim' || (part === 'well' && look.inWake),
    };
    const added = look.diff?.change === 'added';
    const loud = ill.loud || isNew || look.diff !== undefined;
    const chosen = e.id === looks.selectedEdge || e.id === looks.hoverEdge;
    const light = this.many && s.rate < this.heavyFrom && !loud && !ill.quiet && !chosen && look.strength <= 1;
    const boxed = (e.bundle ?? 0) > 0;
    // Where there are hundreds, each is drawn more faintly: it is what they have in common that shows.
    const strength = look.strength * (light ? 0.3 : this.many && !loud && !ill.quiet && !chosen ? 0.7 : 1);
    const length = this.lengths.get(e.id) ?? 1;
    const idle = s.rate <= 0;
    const base = ill.loud
      ? troubleColor(ill.trouble, p)
      : isNew || added
        ? p.accent
        : e.ghost === true
          ? p.ink3
          : ill.quiet
            ? p.victim
            : idle
              ? p.idle
              : p.ok;
    // Who is not used fades away.
    const still = e.ghost === true ? 0.9 : 0.5 - 0.28 * Math.min(1, look.unused / FADED_MS);
    const opacity = Math.min(
      1,
      (ill.loud ? 0.9 : idle ? still : isNew || added ? 0.85 : 0.5) * strength + (chosen ? 0.3 : 0),
    );
    const width = (idle ? (ill.loud ? 2.2 : 1.1) : 1.1 + 1.75 * Math.log10(1 + s.rate)) * (this.many ? 0.65 : 1);
    const glow = chosen || ill.loud ? 0.9 : isNew ? 0.6 : 0;
    const line = chosen && !loud ? mix(base, p.accent, 0.75) : base;
    const ink = premultiplied(alpha(line, opacity));
    out.ribbon.push(
      ...c,
      light ? width * 0.6 : width,
      strength < 0.3 || this.many ? 0 : glow,
      idle ? 1 : 0,
      length,
      ...ink,
    );
    if (light) return false;
    const rim = 1 - Math.min(0.45, (boxed ? 6 : 31) / length);
    out.dot.push(...c, rim, 0, 4.2 + width * 0.55, 1, ...premultiplied(alpha(line, Math.min(1, opacity + 0.15))));
    if (strength > 0.3) notes(e, c, look, p, labels);
    if (strength > 0.3) this.badges(e, c, ill, looks, p, labels, figures, strength, chosen);
    if (idle || strength < 0.3) return false;
    this.dots(e, c, length, strength, isNew, ill, p, out.dot, seconds, looks.window);
    return true;
  }

  private dots(
    e: GraphEdge,
    c: Curve,
    length: number,
    strength: number,
    isNew: boolean,
    ill: Ill,
    p: Palette,
    out: Floats,
    seconds: number,
    window: string,
  ): void {
    const s = signalsOf(e, window);
    const requests = s.rate;
    // Slow calls travel slowly.
    const laps = Math.round(2000 / (1 + 0.8 * Math.log10(1 + (s.p99 ?? 0) / 20))) / 20 / length;
    const motion = this.motions.get(e.id);
    if (motion === undefined) this.motions.set(e.id, { laps, offset: (hash32(e.id) % 997) / 997 });
    else if (motion.laps !== laps) {
      motion.offset = fract(motion.offset + seconds * (motion.laps - laps));
      motion.laps = laps;
    }
    const offset = this.motions.get(e.id)!.offset;
    const room = this.many ? Math.min(MAX_DOTS / 2, length / 240) : MAX_DOTS * (length / 240);
    const many = Math.min(room, (length / 240) * 0.8 * Math.sqrt(requests) + 0.6);
    const wrong = few(errorShare(s), many);
    const refused = few(throttledShare(s), many);
    const size = 1.7 + Math.min(1.3, Math.log10(1 + requests) * 0.5);
    const well = ill.loud
      ? troubleColor(ill.trouble, p)
      : isNew
        ? p.accent
        : ill.quiet
          ? mix(p.victim, p.ink, 0.3)
          : mix(p.ok, p.ink, 0.45);
    for (let i = 0; i < many; i++) {
      const gated = i >= wrong && i < wrong + refused;
      const tone = ill.quiet ? well : i < wrong ? p.failing : gated ? p.throttled : well;
      const big = i < wrong + refused ? 1.35 : 1;
      const seen = Math.min(1, many - i) * Math.min(1, 0.9 * strength);
      out.push(
        ...c,
        fract(offset + i * 0.618034),
        laps,
        size * big,
        gated ? 2 : 0,
        ...premultiplied(alpha(tone, seen)),
      );
    }
  }

  private badges(
    e: GraphEdge,
    c: Curve,
    ill: Ill,
    looks: Looks,
    p: Palette,
    labels: Labels,
    figures: (key: string, make: () => string) => string,
    strength: number,
    chosen: boolean,
  ): void {
    const s = signalsOf(e, looks.window);
    const opacity = Math.min(1, strength * 1.4);
    const busy = Math.min(60, 6 * Math.floor(Math.log2(1 + s.rate)));
    const spot = along(c, [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74], [-15, 15, -35]);
    const badge = (key: string, words: string, ink: Ink, weight: number, leastZoom: number): void =>
      labels.offer({ key: key + e.id, words, ink, weight: weight + busy, leastZoom, opacity, spot });
    const far = this.many ? 0.03 : 0.36;
    if (s.throttled_rate > 0.01 && !ill.quiet && ill.trouble !== 'throttled')
      badge(
        't',
        figures(`t${e.id}`, () => rate(s.throttled_rate)),
        { ...plateInk(p, p.throttled), icon: 'gate' },
        260,
        far,
      );
    const trouble = ill.trouble;
    if (trouble !== undefined) {
      const words = figures(`e${e.id}`, () => figureOf(trouble, s));
      // What a victim suffers is said in a quiet colour, and from near only.
      if (ill.loud)
        badge('e', words, { ...plateInk(p, troubleColor(trouble, p)), icon: TROUBLE_ICON[trouble] }, 300, far);
      else if (!this.many)
        badge('e', words, { ...plainInk(p, p.victim, 600, 11), icon: TROUBLE_ICON[trouble] }, 110, 0.5);
    }
    // Mutual TLS is the normal state of a mesh: a small mark, near. Its absence or a mix shows from further off.
    if (e.mtls >= 0) {
      const whole = e.mtls > 0.995;
      labels.offer({
        key: `m${e.id}`,
        words: whole || e.mtls === 0 ? '' : percent(e.mtls),
        ink: {
          font: `500 11px ${SANS}`,
          color: css(whole || e.mtls === 0 ? p.ink3 : p.ink2),
          rim: css(p.backdrop),
          icon: whole ? 'lock' : 'unlock',
        },
        weight: whole ? 20 : 60,
        leastZoom: whole ? 0.66 : 0.45,
        opacity,
        spot: along(c, [0.36, 0.3, 0.64], [-11, 11]),
      });
    }
    if (chosen)
      labels.offer({
        key: `r${e.id}`,
        words: figures(`r${e.id}`, () => `${rate(s.rate)} · ${duration(s.p99)}`),
        ink: { font: `600 11.5px ${SANS}`, color: css(p.ink), plate: css(p.node), rim: css(p.accent) },
        weight: 900,
        leastZoom: 0,
        opacity: 1,
        spot: along(c, [0.5, 0.4, 0.6, 0.3, 0.7], [24, -24]),
      });
    else if (looks.edgeLabels && s.rate > 0)
      badge(
        'q',
        figures(`q${e.id}`, () => `${rate(s.rate)} ${duration(s.p99)}`),
        plainInk(p, p.ink2, 500, 10.5),
        90,
        0.3,
      );
  }
}

/** The figure that tells how an edge is unwell. */
function figureOf(t: Trouble, s: Signals): string {
  if (t === 'failing') return percent(errorShare(s));
  if (t === 'throttled') return rate(s.throttled_rate);
  return t === 'slow' ? duration(s.p99) : 'no calls';
}

/** What is noticed about an edge, and how it differs from another time. */
function notes(e: GraphEdge, c: Curve, look: EdgeLook, p: Palette, labels: Labels): void {
  if (look.findings > 0)
    labels.offer({
      key: `k${e.id}`,
      words: look.findings > 1 ? String(look.findings) : '',
      ink: findingInk(p),
      weight: 250,
      leastZoom: 0.3,
      opacity: 1,
      spot: along(c, [0.5, 0.42, 0.58, 0.34, 0.66], [15, -15]),
    });
  if (look.diff !== undefined)
    labels.offer({
      key: `d${e.id}`,
      words: look.diff.words,
      ink: diffInk(look.diff, p),
      weight: 1400,
      leastZoom: 0.05,
      opacity: 1,
      spot: along(c, [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74], [-15, 15, -35]),
    });
}

function along(c: Curve, ts: readonly number[], ys: readonly number[]): (i: number) => Spot | undefined {
  return (i) => {
    const fixedY = ys[Math.floor(i / ts.length)];
    return fixedY === undefined ? undefined : { at: curveAt(c, ts[i % ts.length]!), scaledY: 0, fixedY };
  };
}

/** How many of `many` dots stand for a share: at least one where the share is worth showing. */
function few(share: number, many: number): number {
  return share < 0.004 ? 0 : Math.max(1, Math.round(share * many));
}

function fract(v: number): number {
  return v - Math.floor(v);
}
