import { expect, test } from 'vitest';
import { Camera } from './camera';

function camera(): Camera {
  const c = new Camera();
  c.width = 800;
  c.height = 600;
  return c;
}

test('zooming keeps what is under the pointer under it', () => {
  const c = camera();
  const at = { x: 610, y: 120 };
  const before = c.toWorld(at);
  c.zoomAt(at, 1.7);
  expect(c.toScreen(before).x).toBeCloseTo(at.x);
  expect(c.toScreen(before).y).toBeCloseTo(at.y);
});

test('a fitted rectangle lies within the insets', () => {
  const c = camera();
  c.view = c.fitView({ x: -500, y: 40, w: 2000, h: 300 }, { left: 20, right: 300, top: 10, bottom: 90 });
  const a = c.toScreen({ x: -500, y: 40 });
  const b = c.toScreen({ x: 1500, y: 340 });
  expect(a.x).toBeGreaterThanOrEqual(20 - 1e-6);
  expect(b.x).toBeLessThanOrEqual(500 + 1e-6);
  expect(a.y).toBeGreaterThanOrEqual(10 - 1e-6);
  expect(b.y).toBeLessThanOrEqual(510 + 1e-6);
});

test('a flight ends exactly where it goes, and a hand ends it early', () => {
  const c = camera();
  const to = { x: 90, y: -30, zoom: 0.5 };
  c.flyTo(to, 1000, false);
  expect(c.step(1100)).toBe(true);
  expect(c.step(2000)).toBe(false);
  expect(c.view).toEqual(to);
  c.flyTo({ x: 0, y: 0, zoom: 1 }, 3000, false);
  c.panBy(10, 0);
  expect(c.step(3100)).toBe(false);
  expect(c.view.x).toBe(70);
});
