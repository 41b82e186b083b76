import type { GraphNode } from '../api/types';
import { count, percent, rate } from '../base/format';
import type { Rect } from '../base/geometry';
import { errorShare, signalsOf } from '../model/graph';
import { alpha, healthColor, mix, placeInk, plainInk, plateInk, type Floats, type Looks } from './ink';
import { listed, type Labels, type Offer } from './labels';
import { REGION_PAD } from './regions';
import type { Palette } from './renderer';
import type { View } from './camera';

// Groups of a folded graph: a folded one is a box with its figures, an open one an outline around its members.

export interface GroupBuffers {
  /** Behind the edges: open groups. */
  ground: Floats;
  /** Before the edges: folded groups. */
  box: Floats;
}

export function drawGroup(
  n: GraphNode,
  rect: Rect,
  looks: Looks,
  p: Palette,
  view: View,
  buffers: GroupBuffers,
  labels: Labels,
): void {
  const g = n.group;
  if (g === undefined) return;
  const out = looks.focus !== undefined && !looks.focus.has(n.id);
  const opacity = out ? 0.25 : 1;
  const loud = n.health === 'failing' || n.health === 'degraded';
  const ring = loud ? healthColor(n.health, p) : n.health === 'idle' ? p.idle : mix(p.ok, p.ink3, 0.35);
  const chosen = n.id === looks.selectedNode;
  const near = n.id === looks.hoverNode;
  const fill = g.open
    ? p.area
    : loud
      ? mix(p.node, healthColor(n.health, p), n.health === 'failing' ? 0.16 : 0.08)
      : p.node;
  (g.open ? buffers.ground : buffers.box).push(
    ...[rect.x, rect.y, rect.w, rect.h],
    ...alpha(fill, g.open ? 0.45 : 1),
    ...(g.open ? alpha(p.outline, 0.8) : ring),
    g.open ? 1 : 0,
    chosen ? 1 : 0,
    out || g.open ? 0 : n.health === 'failing' ? 0.8 : near ? 0.4 : 0,
    opacity,
  );
  const scale = view.zoom;
  if (!g.open)
    labels.obstacle(n.id, (rect.x - view.x) * scale, (rect.y - view.y) * scale, rect.w * scale, rect.h * scale);
  words(n, rect, looks, p, labels, opacity);
}

function words(n: GraphNode, rect: Rect, looks: Looks, p: Palette, labels: Labels, opacity: number): void {
  const g = n.group!;
  const s = signalsOf(n, looks.window);
  const inner = signalsOf({ windows: g.inner }, looks.window);
  const middle = { x: rect.x + rect.w / 2, y: rect.y + rect.h / 2 };
  const busy = Math.min(60, 8 * Math.log2(1 + s.rate + inner.rate));
  const base = { leastZoom: 0, opacity, owner: n.id };
  const line = (key: string, text: string, ink: Offer['ink'], weight: number, y: number): void =>
    labels.offer({
      ...base,
      key: key + n.id,
      words: text,
      ink,
      weight,
      spot: listed([{ at: middle, scaledY: 0, fixedY: y }]),
    });
  const ill = [g.failing > 0 ? `${g.failing} failing` : '', g.degraded > 0 ? `${g.degraded} degraded` : ''];
  const bad = ill.filter((w) => w !== '').join(' · ');
  const plate = plateInk(p, g.failing > 0 ? p.failing : p.degraded);
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
  const shift = bad === '' ? 0 : -10;
  line('g', n.name, plainInk(p, p.ink, 650, 14), 600 + busy, -24 + shift);
  line('c', `${count(g.members)} · ${rate(s.rate)}`, plainInk(p, p.ink2, 500, 11.5), 400 + busy, -4 + shift);
  const errors = errorShare(inner.rate > s.rate ? inner : s);
  const within = `${rate(inner.rate)} within${errors > 0.001 ? ` · ${percent(errors)} err` : ''}`;
  line('w', within, plainInk(p, p.ink3, 500, 11), 300 + busy, 13 + shift);
  if (bad !== '') line('b', bad, { ...plate, icon: 'spike' }, 650 + busy, 33 + shift);
}
