import type { Point, Rect } from '../base/geometry';

// Which groups are open: those that are looked at closely. Pure: the view asks when the map comes to rest.

/** From this zoom on members can be told apart, and below that one they cannot: between the two all stays as it is. */
export const OPEN_ZOOM = 0.25;
const FOLD_ZOOM = 0.19;
/** How many members are shown at most; the groups nearest to the middle come first. */
const MOST_MEMBERS = 800;

export interface Group {
  id: string;
  rect: Rect;
  members: number;
  open: boolean;
}

export function openGroups(
  groups: readonly Group[],
  zoom: number,
  middle: Point,
  size: { w: number; h: number },
): string[] {
  const w = size.w / zoom / 2;
  const h = size.h / zoom / 2;
  const away = (g: Group): number => Math.hypot(g.rect.x + g.rect.w / 2 - middle.x, g.rect.y + g.rect.h / 2 - middle.y);
  const seen = groups
    .filter((g) => zoom >= (g.open ? FOLD_ZOOM : OPEN_ZOOM))
    .filter(
      ({ rect: r }) => r.x < middle.x + w && r.x + r.w > middle.x - w && r.y < middle.y + h && r.y + r.h > middle.y - h,
    )
    .sort((a, b) => away(a) - away(b) || (a.id < b.id ? -1 : 1));
  const open: string[] = [];
  let members = 0;
  for (const g of seen) {
    members += g.members;
    if (open.length > 0 && members > MOST_MEMBERS) break;
    open.push(g.id);
  }
  return open.sort();
}
