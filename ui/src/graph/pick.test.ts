import { expect, test } from 'vitest';
import type { GraphNode } from '../api/types';
import type { Curve, Point, Rect } from '../base/geometry';
import { boundsOf, hitAt, nodeTowards } from './pick';

const node = (id: string): GraphNode => ({
  id,
  name: id,
  namespace: '',
  cluster: '',
  kind: 'service',
  system: '',
  versions: [],
  health: 'ok',
  windows: {},
  last_seen: 0,
});
const places = new Map<string, Point>([
  ['left', { x: 0, y: 0 }],
  ['right', { x: 400, y: 0 }],
  ['below', { x: 0, y: 300 }],
]);
const straight: Curve = [0, 0, 130, 0, 270, 0, 400, 0];
const none = new Map<string, Rect>();
const placed = { places, curves: new Map([['left>right', straight]]), rects: none };
const nodes = new Map([...places.keys()].map((id) => [id, node(id)]));

test('a node comes before an edge, an edge before nothing', () => {
  expect(hitAt({ x: 5, y: 3 }, 1, placed, nodes, '10s')).toEqual({ node: 'left' });
  expect(hitAt({ x: 200, y: 4 }, 1, placed, nodes, '10s')).toEqual({ edge: 'left>right' });
  expect(hitAt({ x: 200, y: 60 }, 1, placed, nodes, '10s')).toEqual({});
});

test('further off, more of the world is near the pointer', () => {
  expect(hitAt({ x: 200, y: 60 }, 0.1, placed, nodes, '10s')).toEqual({ edge: 'left>right' });
});

test('a place whose node is gone is not hit', () => {
  expect(hitAt({ x: 0, y: 300 }, 1, placed, new Map(), '10s')).toEqual({});
});

test('arrow keys go to who stands that way', () => {
  const middle = { x: 390, y: 10 };
  expect(nodeTowards(places, 'left', middle, 1, 0)).toBe('right');
  expect(nodeTowards(places, 'left', middle, 0, 1)).toBe('below');
  expect(nodeTowards(places, 'left', middle, -1, 0)).toBeUndefined();
  expect(nodeTowards(places, undefined, middle, 1, 0)).toBe('right');
});

test('bounds hold all that is named, and nothing has none', () => {
  expect(boundsOf(places, none)).toEqual({ x: -70, y: -84, w: 540, h: 468 });
  expect(boundsOf(places, none, ['below', 'gone'])).toEqual({ x: -70, y: 216, w: 140, h: 168 });
  expect(boundsOf(new Map(), none)).toBeUndefined();
});
