import type { GraphNode } from '../api/types';
import { count, percent, rate } from '../base/format';
import { css, type RGBA } from '../base/color';
import type { Rect } from '../base/geometry';
import { errorShare, signalsOf } from '../model/graph';
import type { DiffMark } from '../model/diff';
import { blameOf, troubleIn } from '../model/trouble';
import {
  alpha,
  diffInk,
  findingInk,
  mix,
  placeInk,
  plainInk,
  plateInk,
  TROUBLE_ICON,
  troubleColor,
  type Floats,
  type Looks,
} from './ink';
import { listed, type Labels, type Offer } from './labels';
import { REGION_PAD } from './regions';
import type { Palette } from './renderer';
import type { View } from './camera';

// Groups of a folded graph: a folded one is a box with its figures, an open one an outline around its members. A folded one
// names the worst culprit in it, and counts who is to blame and who suffers apart.

export interface GroupBuffers {
  /** Behind the edges: open groups. */
  ground: Floats;
  /** Before the edges: folded groups. */
  box: Floats;
}

/** What is told of a group besides its figures. */
interface Told {
  /** How many findings are about it and about what is folded away in it. */
  findings: number;
  diff: DiffMark | undefined;
}

export function drawGroup(
  n: GraphNode,
  rect: Rect,
  told: Told,
  looks: Looks,
  p: Palette,
  view: View,
  buffers: GroupBuffers,
  labels: Labels,
): void {
  const g = n.group;
  if (g === undefined) return;
  const out = looks.focus !== undefined && !looks.focus.has(n.id);
  const opacity = out ? 0.25 : looks.diff !== undefined && told.diff === undefined ? 0.45 : 1;
  const { part } = blameOf(n);
  const loud = part === 'culprit' || part === 'accused';
  const color = troubleColor(troubleIn(n, looks.window), p);
  const ring = loud ? color : part === 'victim' ? p.victim : n.health === 'idle' ? p.idle : mix(p.ok, p.ink3, 0.35);
  const chosen = n.id === looks.selectedNode;
  const near = n.id === looks.hoverNode;
  const fill = g.open ? p.area : loud ? mix(p.node, color, part === 'culprit' ? 0.2 : 0.1) : p.node;
  (g.open ? buffers.ground : buffers.box).push(
    ...[rect.x, rect.y, rect.w, rect.h],
    ...alpha(fill, g.open ? 0.45 : 1),
    ...(g.open ? alpha(p.outline, 0.8) : ring),
    g.open ? 1 : 0,
    chosen ? 1 : 0,
    out || g.open ? 0 : part === 'culprit' ? 1 : near ? 0.4 : 0,
    opacity,
  );
  const scale = view.zoom;
  if (!g.open)
    labels.obstacle(n.id, (rect.x - view.x) * scale, (rect.y - view.y) * scale, rect.w * scale, rect.h * scale);
  words(n, rect, told, looks, p, labels, opacity, view.zoom, fill);
}

interface Line {
  key: string;
  words: string;
  shorter: readonly string[];
  ink: Offer['ink'];
  weight: number;
  /** Pixels that it takes. */
  high: number;
}

const MARGIN = 7;

function words(
  n: GraphNode,
  rect: Rect,
  told: Told,
  looks: Looks,
  p: Palette,
  labels: Labels,
  opacity: number,
  zoom: number,
  fill: RGBA,
): void {
  const g = n.group!;
  const s = signalsOf(n, looks.window);
  const inner = signalsOf({ windows: g.inner }, looks.window);
  const middle = { x: rect.x + rect.w / 2, y: rect.y + rect.h / 2 };
  const base = { leastZoom: 0, opacity, owner: n.id };
  if (g.open) {
    const at = { x: middle.x, y: rect.y + REGION_PAD };
    const some = g.shown < g.members ? `${g.shown} of ${g.members} shown` : `${g.members}`;
    labels.offer({
      ...base,
      key: `g${n.id}`,
      words: n.name,
      ink: placeInk(p, 19),
      weight: 600,
      spot: listed([{ at, scaledY: 0, fixedY: 0 }]),
    });
    labels.offer({
      ...base,
      key: `f${n.id}`,
      words: `${some} · in ${rate(s.rate)} · within ${rate(inner.rate)}`,
      ink: plainInk(p, p.ink3, 500, 11.5),
      weight: 320,
      spot: listed([{ at, scaledY: 0, fixedY: 20 }]),
    });
    return;
  }
  const room = { w: rect.w * zoom - 2 * MARGIN, h: rect.h * zoom - 2 * MARGIN };
  const lines = [...linesOf(n, looks, p), ...notesOf(told, p)];
  // A box too small for its name has it below, as a node has.
  if (room.h < lines[0]!.high || room.w < 60) {
    const { key, words: name, ink, weight } = lines[0]!;
    const under = { x: middle.x, y: rect.y + rect.h };
    const over = { x: middle.x, y: rect.y };
    const spots = [
      { at: under, scaledY: 0, fixedY: 13 },
      { at: over, scaledY: 0, fixedY: -13 },
    ];
    labels.offer({ ...base, key: key + n.id, words: name, ink, weight, spot: listed(spots) });
    const members = lines[1]!;
    if (room.h >= members.high)
      labels.offer({
        ...base,
        key: members.key + n.id,
        words: members.words,
        fit: { width: room.w, shorter: members.shorter },
        ink: members.ink,
        weight: members.weight,
        spot: listed([{ at: middle, scaledY: 0, fixedY: 0 }]),
      });
    return;
  }
  // The most telling lines that there is room for, in the order in which they are read.
  const shown = new Set<Line>();
  let high = 0;
  for (const l of [...lines].sort((a, b) => b.weight - a.weight)) {
    if (high + l.high > room.h) break;
    high += l.high;
    shown.add(l);
  }
  let y = -high / 2;
  for (const l of lines.filter((x) => shown.has(x))) {
    labels.offer({
      ...base,
      key: l.key + n.id,
      words: l.words,
      fit: { width: room.w, shorter: l.shorter },
      // On the box the words' rim is the box's, or it shows.
      ink: l.ink.plate === undefined ? { ...l.ink, rim: css(fill) } : l.ink,
      weight: l.weight,
      spot: listed([{ at: middle, scaledY: 0, fixedY: y + l.high / 2 }]),
    });
    y += l.high;
  }
}

/** What there is to say of a folded group, from the top. */
function linesOf(n: GraphNode, looks: Looks, p: Palette): Line[] {
  const g = n.group!;
  const s = signalsOf(n, looks.window);
  const inner = signalsOf({ windows: g.inner }, looks.window);
  const busy = Math.min(60, 8 * Math.log2(1 + s.rate + inner.rate));
  const trouble = troubleIn(n, looks.window) ?? 'failing';
  const { part } = blameOf(n);
  const errors = part === 'victim' ? 0 : errorShare(inner.rate > s.rate ? inner : s);
  const cut = n.name.length > 14 ? [`${n.name.slice(0, 12)}…`, `${n.name.slice(0, 7)}…`] : [`${n.name.slice(0, 7)}…`];
  const lines: Line[] = [
    { key: 'g', words: n.name, shorter: cut, ink: plainInk(p, p.ink, 650, 14), weight: 600 + busy, high: 20 },
    {
      key: 'c',
      words: `${count(g.members)} · ${rate(s.rate)}`,
      shorter: [rate(s.rate), count(g.members)],
      ink: plainInk(p, p.ink2, 500, 11.5),
      weight: 400 + busy,
      high: 17,
    },
    {
      key: 'w',
      words: `${rate(inner.rate)} within${errors > 0.001 ? ` · ${percent(errors)} err` : ''}`,
      shorter: [`${rate(inner.rate)} within`],
      ink: plainInk(p, p.ink3, 500, 11),
      weight: 300 + busy,
      high: 17,
    },
  ];
  if (g.worst !== undefined) {
    const more = g.culprits > 1 ? ` +${g.culprits - 1}` : '';
    lines.push({
      key: 'b',
      words: g.worst.name + more,
      shorter: shorterNames(g.worst.name, n.name).map((name) => name + more),
      ink: { ...plateInk(p, troubleColor(trouble, p), 12), icon: TROUBLE_ICON[trouble] },
      weight: 700 + busy,
      high: 24,
    });
  } else if (part === 'accused') {
    const told = [g.failing > 0 ? `${g.failing} failing` : '', g.degraded > 0 ? `${g.degraded} degraded` : ''];
    lines.push({
      key: 'b',
      words: told.filter((w) => w !== '').join(' · '),
      shorter: [`${g.failing + g.degraded} unwell`, String(g.failing + g.degraded)],
      ink: { ...plateInk(p, troubleColor(trouble, p)), icon: TROUBLE_ICON[trouble] },
      weight: 700 + busy,
      high: 24,
    });
  }
  if (g.culprits + g.victims > 0) {
    const blamed = g.culprits === 0 ? '' : g.culprits === 1 ? '1 culprit' : `${g.culprits} culprits`;
    const hurt = g.victims === 0 ? '' : g.victims === 1 ? '1 suffers' : `${g.victims} suffer`;
    lines.push({
      key: 'v',
      words: [blamed, hurt].filter((w) => w !== '').join(' · '),
      // How many are to blame the plate above says as well.
      shorter: hurt === '' ? [] : [hurt],
      ink: plainInk(p, blamed === '' ? p.victim : p.ink2, 600, 11.5),
      weight: 650 + busy,
      high: 17,
    });
  }
  return lines;
}

/** What is noticed of a group, and how it differs from another time. */
function notesOf(told: Told, p: Palette): Line[] {
  const lines: Line[] = [];
  if (told.diff !== undefined)
    lines.push({
      key: 'd',
      words: told.diff.words,
      shorter: [told.diff.words.replace(' changed', '~')],
      ink: diffInk(told.diff, p),
      weight: 1500,
      high: 24,
    });
  if (told.findings > 0)
    lines.push({
      key: 'k',
      words: told.findings === 1 ? '1 finding' : `${told.findings} findings`,
      shorter: [String(told.findings)],
      ink: findingInk(p),
      weight: 500,
      high: 22,
    });
  return lines;
}

/** A name without its group's, which stands above it, and then ever less of it. */
function shorterNames(name: string, group: string): string[] {
  const own = name.startsWith(`${group}-`) ? name.slice(group.length + 1) : name;
  return [...(own === name ? [] : [own]), ...[18, 14, 10, 7, 4].map((n) => `${own.slice(0, n)}…`), ''];
}
