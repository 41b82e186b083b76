import type { GraphNode, Health } from '../api/types';
import { alpha, css, mix, type RGBA } from '../base/color';
import { signalsOf } from '../model/graph';
import type { DiffMark, DiffMarks, Tone } from '../model/diff';
import type { Trouble } from '../model/trouble';
import type { Icon, Ink } from './atlas';
import type { Palette } from './renderer';

// What the scene's parts share: the buffers that they fill, the fonts and colours of words and badges, and what the user
// points at.

/** What the user points at, has selected, or focuses on, and the window of the figures that are shown. */
export interface Looks {
  selectedNode: string | undefined;
  selectedEdge: string | undefined;
  hoverNode: string | undefined;
  hoverEdge: string | undefined;
  /** When given, all else is faded. */
  focus: ReadonlySet<string> | undefined;
  window: string;
  /** Figures stand at each edge, not only where something is wrong. */
  edgeLabels: boolean;
  /** Only what is unwell is drawn, and what it hurts. */
  hideHealthy: boolean;
  /** What is not as it was in another time: all else is faded. */
  diff: DiffMarks | undefined;
}

export const SANS = 'ui-sans-serif, "Inter", "SF Pro Text", "Segoe UI", system-ui, "Liberation Sans", sans-serif';
const SERIF = '"Iowan Old Style", "Palatino Linotype", Palatino, Georgia, "Liberation Serif", serif';

export class Floats {
  data = new Float32Array(1024);
  n = 0;

  push(...v: readonly number[]): void {
    if (this.n + v.length > this.data.length) {
      const grown = new Float32Array(Math.max(this.data.length * 2, this.n + v.length));
      grown.set(this.data);
      this.data = grown;
    }
    for (let i = 0; i < v.length; i++) this.data[this.n + i] = v[i]!;
    this.n += v.length;
  }
}

/** The ink of a place's name: a namespace's area. */
export function placeInk(p: Palette, px = 17): Ink {
  return { font: `italic 500 ${px}px ${SERIF}`, color: css(p.ink3), rim: css(p.backdrop), spacing: '2.5px' };
}

export function plainInk(p: Palette, color: RGBA, weight: number, px: number): Ink {
  return { font: fontOf(weight, px), color: inCss(color), rim: inCss(p.backdrop) };
}

// Hundreds of words a build ask for the same few fonts and the palette's own colours.
const fonts = new Map<number, string>();
const colors = new WeakMap<RGBA, string>();

function fontOf(weight: number, px: number): string {
  const key = weight * 100 + px;
  let f = fonts.get(key);
  if (f === undefined) fonts.set(key, (f = `${weight} ${px}px ${SANS}`));
  return f;
}

function inCss(c: RGBA): string {
  let s = colors.get(c);
  if (s === undefined) colors.set(c, (s = css(c)));
  return s;
}

export function plateInk(p: Palette, plate: RGBA, px = 11): Ink {
  return { font: fontOf(600, px), color: css(p.backdrop), plate: css(plate) };
}

/** The radius of a node in CSS pixels at zoom 1. */
export function nodeRadius(n: GraphNode, window: string): number {
  const r = signalsOf(n, window).rate;
  return (n.kind === 'service' ? 14 : 12) + 2.6 * Math.log10(1 + Math.max(0, r));
}

/** By what nodes and lines are drawn smaller or larger than the map is zoomed: as the shaders have it. */
export function nodeScale(zoom: number): number {
  return Math.min(1.5, Math.max(0.3, zoom));
}

export function healthColor(h: Health, p: Palette): RGBA {
  return h === 'failing' ? p.failing : h === 'degraded' ? p.degraded : h === 'idle' ? p.idle : p.ok;
}

export function troubleColor(t: Trouble | undefined, p: Palette): RGBA {
  return t === 'slow' ? p.degraded : t === 'throttled' ? p.throttled : t === 'cut_off' ? p.cutoff : p.failing;
}

/** The plate of what is not as it was. */
export function diffInk(m: DiffMark, p: Palette): Ink {
  const color: Record<Tone, RGBA> = { added: p.accent, gone: p.ink3, worse: p.degraded, better: p.ok, other: p.ink2 };
  return plateInk(p, color[m.tone]);
}

/** The mark of what is noticed about a thing: quiet, for it is no trouble. */
export function findingInk(p: Palette): Ink {
  return { font: fontOf(600, 11), color: inCss(p.ink), plate: inCss(p.node), rim: inCss(p.ink2), icon: 'glass' };
}

export const TROUBLE_ICON: Readonly<Record<Trouble, Icon>> = {
  slow: 'clock',
  failing: 'spike',
  throttled: 'gate',
  cut_off: 'cut',
};

export function short(name: string): string {
  return name.length > 26 ? `${name.slice(0, 12)}…${name.slice(-12)}` : name;
}

export function premultiplied(c: RGBA): [number, number, number, number] {
  return [c[0] * c[3], c[1] * c[3], c[2] * c[3], c[3]];
}

export { alpha, css, mix };
