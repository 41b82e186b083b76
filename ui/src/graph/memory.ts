import type { Point, Rect } from '../base/geometry';
import { keep, kept } from '../base/storage';
import type { View } from './camera';

// What the browser remembers of the map from one visit to the next: where each node stands, and what part is looked at.

const PLACES = 'places';
const REGIONS = 'regions';
const CAMERA = 'camera';
const MAX_PLACES = 5000;
const MAX_REGIONS = 1000;

export function rememberedPlaces(): Map<string, Point> {
  const places = new Map<string, Point>();
  const raw = kept(PLACES);
  if (typeof raw !== 'object' || raw === null) return places;
  for (const [id, v] of Object.entries(raw as Record<string, unknown>)) {
    if (Array.isArray(v) && typeof v[0] === 'number' && typeof v[1] === 'number') places.set(id, { x: v[0], y: v[1] });
  }
  return places;
}

export function rememberPlaces(places: ReadonlyMap<string, Point>): void {
  // Nodes long gone keep their place for their return, up to a bound; the oldest are forgotten first.
  const entries = [...places].slice(-MAX_PLACES);
  keep(PLACES, Object.fromEntries(entries.map(([id, p]) => [id, [p.x, p.y]])));
}

export function rememberedRegions(): Map<string, Rect> {
  const rects = new Map<string, Rect>();
  const raw = kept(REGIONS);
  if (typeof raw !== 'object' || raw === null) return rects;
  for (const [id, v] of Object.entries(raw as Record<string, unknown>)) {
    if (!Array.isArray(v)) continue;
    const [x, y, w, h] = v as unknown[];
    if (typeof x === 'number' && typeof y === 'number' && typeof w === 'number' && typeof h === 'number')
      rects.set(id, { x, y, w, h });
  }
  return rects;
}

export function rememberRegions(rects: ReadonlyMap<string, Rect>): void {
  const entries = [...rects].slice(-MAX_REGIONS);
  keep(REGIONS, Object.fromEntries(entries.map(([id, r]) => [id, [r.x, r.y, r.w, r.h]])));
}

export function rememberedCamera(): View | undefined {
  const v = kept(CAMERA) as Partial<View> | undefined;
  return typeof v?.x === 'number' && typeof v.y === 'number' && typeof v.zoom === 'number' && v.zoom > 0
    ? { x: v.x, y: v.y, zoom: v.zoom }
    : undefined;
}

export function rememberCamera(view: View): void {
  keep(CAMERA, view);
}
