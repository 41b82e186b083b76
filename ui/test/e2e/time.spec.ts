import { createRequire } from 'node:module';
import { expect, test, type Page } from '@playwright/test';
import type { AxeResults } from 'axe-core';

// What is noticed, what happened, what has changed, and the ways through time: in panels, on the map, on the strip.

test.skip(process.env.BINNACLE_URL !== undefined, 'needs the fixture server');
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

const set = (page: Page, query: string): Promise<unknown> => page.request.get(`/__fixture?${query}`);

test.beforeEach(async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
});
test.afterEach(async ({ page }) => {
  await set(page, 'mode=lively&mesh=0&findings=none');
});

async function map(page: Page, query = ''): Promise<void> {
  await page.goto(`/${query}`);
  await expect(page.locator('.compass')).toBeVisible();
}

const words = (page: Page): Promise<string[]> => page.evaluate(() => window.binnacleMap!.boxes().map((b) => b.key));

test('findings: marked where they are, listed with evidence and remedy, and gone when they are', async ({ page }) => {
  await set(page, 'mode=calm&findings=some');
  await map(page);
  await expect.poll(() => words(page)).toContain('kshop/search');
  expect(await words(page)).toContain('kback/shipping');
  await expect(page.locator('.tools .count')).toHaveText('2');
  await page.getByRole('button', { name: 'Findings' }).click();
  const first = page.locator('.panel.side .card').first();
  await expect(first).toContainText('drops trace headers');
  await expect(first).toContainText('Let search pass traceparent');
  await first.locator('summary').click();
  await expect(first.locator('.evidence li').first()).toBeVisible();
  await first.getByRole('button', { name: 'search', exact: true }).click();
  await expect(page.locator('.panel h2')).toContainText('search');
  await expect(page.locator('.panel .card')).toContainText('98 %');
  await page.keyboard.press('Escape');
  await expect(page.locator('.panel.side')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.locator('.panel')).toHaveCount(0);
  await set(page, 'mode=calm&findings=none');
  await expect(page.locator('.tools .count')).toHaveCount(0);
  await expect.poll(() => words(page)).not.toContain('kshop/search');
});

test('findings of what is folded away are at its group', async ({ page }) => {
  await set(page, 'mesh=1000&findings=some');
  await map(page, '?side=findings');
  await expect(page.locator('.panel.side .card')).toHaveCount(1);
  await expect.poll(() => words(page)).toContain('kgroup:accounts');
});

test('events: on the strip, in the list, and when they happen', async ({ page }) => {
  await set(page, 'mode=calm');
  await map(page);
  await page.getByRole('button', { name: 'Events' }).click();
  const entries = page.locator('.events .card');
  await expect(entries).toHaveCount(6);
  await expect(entries.first()).toContainText('mailer no longer calls smtp.example');
  await expect(page.locator('.side-none')).toContainText('Events are known since');
  await set(page, 'happen=1');
  await expect(entries.first()).toContainText('checkout calls api.new.example for the first time');
  await page.keyboard.press('Escape');

  // The strip is an hour long; somebody became slow 25 minutes ago.
  const strip = (await page.locator('.strip-chart').boundingBox())!;
  await page.mouse.move(strip.x + (strip.width * 35) / 60, strip.y + 6);
  await expect(page.locator('.strip-tip')).toContainText('inventory is slow by itself');
  await page.mouse.down();
  await page.mouse.up();
  await expect(page.locator('.events .card.chosen')).toContainText(/inventory/);
  await page.locator('.events .card.chosen').getByRole('button', { name: 'Show that time' }).click();
  await expect(page).toHaveURL(/from=\d+&to=\d+/);
  await expect(page.locator('.strip.past')).toBeVisible();
});

test('what has changed: new, gone and changed on the map and in the list, the rest faint', async ({ page }) => {
  await set(page, 'mode=calm');
  await map(page, '?side=diff');
  const panel = page.locator('.panel.side');
  await expect(panel).toContainText('recommend → reviews');
  await expect(panel).toContainText('legacy-cart');
  await expect(panel).toContainText('p99 60 ms before, 250 ms after');
  await expect(panel).toContainText('may be chance');
  // One after the other: what is gone is given a place when the map is next laid out.
  for (const id of [
    'shop/reviews',
    'shop/recommend>shop/reviews|http',
    'shop/checkout>back/inventory|grpc',
    'shop/legacy-cart',
  ])
    await expect.poll(() => words(page), id).toContain(`d${id}`);
  // What is gone has a place while it is compared with, and none afterwards.
  const place = (): Promise<boolean> =>
    page.evaluate(() => window.binnacleMap!.place('shop/legacy-cart') !== undefined);
  expect(await place()).toBe(true);
  await page.getByRole('radio', { name: '24h' }).first().click();
  await expect(page).toHaveURL(/against=24h/);
  await page.keyboard.press('Escape');
  await expect.poll(place).toBe(false);
});

test('the slider and play go through the past, and end at now', async ({ page }) => {
  await set(page, 'mode=calm');
  await map(page);
  const slider = page.getByRole('slider', { name: 'The time that the map shows' });
  await expect(slider).toHaveAttribute('aria-valuetext', 'now');
  await slider.focus();
  await page.keyboard.press('PageDown');
  await expect(page).toHaveURL(/from=\d+&to=\d+/);
  await expect(slider).toHaveAttribute('aria-valuetext', /\d to \d/);
  await slider.blur();
  const to = (): number => Number(new URL(page.url()).searchParams.get('to'));
  const before = to();
  await page.keyboard.press('[');
  await expect.poll(to).toBeLessThan(before);
  await page.keyboard.press('p');
  const began = to();
  await expect.poll(to).toBeGreaterThan(began);
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  await expect(page.locator('.map-state')).toHaveCount(0);
  await page.keyboard.press('p');
  await page.keyboard.press('l');
  await expect(page).not.toHaveURL(/from=/);
});

test('no serious fault by axe, nothing too wide, beside the map', async ({ page }) => {
  await set(page, 'mode=each&findings=some');
  for (const [scheme, width] of [
    ['dark', 1440],
    ['light', 1440],
    ['dark', 390],
  ] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: 900 });
    for (const side of ['findings', 'events', 'diff']) {
      await page.goto(`/?side=${side}`);
      await expect(page.locator('.panel.side .card').first()).toBeVisible();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), side).toBeLessThanOrEqual(width);
      await page.addScriptTag({ path: axe });
      const faults = await page.evaluate(async () => {
        const { axe: judge } = window as unknown as { axe: { run: () => Promise<AxeResults> } };
        return (await judge.run()).violations
          .filter((v) => v.impact === 'serious' || v.impact === 'critical')
          .map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 100)).join(' ')}`);
      });
      expect(faults, `${scheme} ${side}`).toEqual([]);
    }
  }
});
