import { createRequire } from 'node:module';
import { expect, test, type Page } from '@playwright/test';
import type { AxeResults } from 'axe-core';

// Who is to blame, as the page shows it: on the map, in the line at the top, in the compass and under its key, in lists and
// panels, in the table, and where all is folded. Each must name the same one first.

test.skip(process.env.BINNACLE_URL !== undefined, 'needs the fixture server');
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

const set = (page: Page, query: string): Promise<unknown> => page.request.get(`/__fixture?${query}`);

test.afterEach(async ({ page }) => {
  await set(page, 'mode=lively&mesh=0');
});

async function map(page: Page, query = ''): Promise<void> {
  await page.goto(`/${query}`);
  await expect(page.locator('.compass')).toBeVisible();
}

interface Box {
  key: string;
  x: number;
  y: number;
  w: number;
  h: number;
}
const boxes = (page: Page): Promise<{ words: Box[]; things: Box[] }> =>
  page.evaluate(() => ({ words: window.binnacleMap!.boxes(), things: window.binnacleMap!.things() }));

/** The colour most often met in a square around a node, its inner sign left out: what its disc is filled with. */
async function fill(page: Page, id: string): Promise<[number, number, number]> {
  const at = await page.evaluate((node) => {
    const v = window.binnacleMap!;
    const p = v.camera.toScreen(v.place(node)!);
    const host = document.querySelector('.map-canvas')!.getBoundingClientRect();
    return { x: p.x + host.left, y: p.y + host.top };
  }, id);
  const shot = await page.screenshot({ clip: { x: at.x - 10, y: at.y - 10, width: 20, height: 20 } });
  return page.evaluate(async (png) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pen = canvas.getContext('2d')!;
    pen.drawImage(image, 0, 0);
    const { data } = pen.getImageData(0, 0, image.width, image.height);
    const counts = new Map<string, number>();
    for (let i = 0; i < data.length; i += 4) {
      const k = `${data[i]! & 0xf0},${data[i + 1]! & 0xf0},${data[i + 2]! & 0xf0}`;
      counts.set(k, (counts.get(k) ?? 0) + 1);
    }
    const [most] = [...counts].sort((a, b) => b[1] - a[1])[0]!;
    return most.split(',').map(Number) as [number, number, number];
  }, shot.toString('base64'));
}

/** How far a colour is from grey: the loud are, the quiet are not. */
const vivid = ([r, g, b]: [number, number, number]): number => Math.max(r, g, b) - Math.min(r, g, b);

for (const scheme of ['dark', 'light'] as const)
  test(`culprits are solid, each kind in its colour; victims are not red: ${scheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await set(page, 'mode=each');
    await map(page);
    await expect.poll(async () => (await boxes(page)).words.map((b) => b.key)).toContain('Nback/inventory');
    const slow = await fill(page, 'back/inventory');
    const failing = await fill(page, 'back/fraud');
    const throttled = await fill(page, 'shop/search');
    const cut = await fill(page, 'back/mailer');
    // Amber, red, violet, blue: by which parts are large.
    expect(slow[0], `slow ${slow.join()}`).toBeGreaterThan(slow[2] + 60);
    expect(failing[0], `failing ${failing.join()}`).toBeGreaterThan(failing[1] + 80);
    expect(throttled[0], `throttled ${throttled.join()}`).toBeGreaterThan(throttled[1] + 40);
    expect(throttled[2]).toBeGreaterThan(throttled[1] + 40);
    expect(cut[2], `cut off ${cut.join()}`).toBeGreaterThan(cut[0] + 60);
    for (const victim of ['edge/gateway', 'shop/checkout', 'back/payments', 'shop/frontend'])
      expect(vivid(await fill(page, victim)), victim).toBeLessThan(60);
  });

test('the line at the top, the compass, n, the lists and the table name the same one first', async ({ page }) => {
  await set(page, 'mode=slow');
  await map(page);
  const line = page.locator('.verdict');
  await expect(line).toContainText(/inventory is slow \(since \d+.min\): 3 callers suffer/);
  await expect(page.locator('.compass')).toContainText('1 to blame, 3 suffer');
  await page.keyboard.press('n');
  await expect(page).toHaveURL(/node=back%2Finventory/);
  await page.keyboard.press('n');
  await expect(page).not.toHaveURL(/inventory/);
  await page.keyboard.press('Escape');
  await line.click();
  await expect(page.locator('.panel h2')).toContainText('inventory');

  await page.goto('/?table=on');
  const row = page.locator('.map-table tbody tr').first();
  await expect(row).toContainText('inventory');
  await expect(row).toContainText('slow');
  await expect(row).toContainText('to blame');
  await expect(page.locator('.map-table tbody tr', { hasText: 'checkout' }).first()).toContainText(
    'suffers from inventory',
  );

  await page.goto('/service?id=edge%2Fauth');
  await expect(page.locator('.rail section').first()).toContainText(/to blame.*inventory/s);
  await expect(page.locator('.rail section').nth(1)).toContainText(/suffering.*checkout/s);
  await expect(page.locator('.verdict')).toContainText('inventory is slow');
});

test('the find box marks who is to blame and who suffers, on a small map and a folded one', async ({ page }) => {
  await set(page, 'mode=slow');
  await map(page);
  const rows = page.locator('.search li[role=option]');
  await page.keyboard.press('/');
  await expect(rows.first()).toContainText('inventory');
  await page.keyboard.type('victim');
  await expect(rows).toHaveCount(3);
  await expect(rows.first().getByRole('img', { name: 'slow because of another' })).toBeVisible();

  await set(page, 'mesh=1000');
  await map(page);
  await page.keyboard.press('/');
  await page.keyboard.type('culprit');
  await expect(rows.first().getByRole('img', { name: 'failing by itself' })).toBeVisible();
  const culprits = await page.evaluate(() => window.binnacleMap!.model.culprits.length);
  await expect(rows).toHaveCount(culprits);
});

test('operations of who suffers are quiet, of who is to blame point at what is wrong', async ({ page }) => {
  await set(page, 'mode=each');
  const cells = page.locator('.operations td');
  await page.goto('/service?id=back%2Ffraud');
  await expect(page.locator('.operations td.bad').first()).toBeVisible();
  await page.goto('/service?id=back%2Fpayments');
  await expect(cells.first()).toBeVisible();
  await expect(page.locator('.operations td.bad')).toHaveCount(0);
  await page.goto('/service?id=back%2Finventory');
  await expect(page.locator('.operations td.slow').first()).toBeVisible();
});

test('a panel and a page say why, since when, and lead to the cause', async ({ page }) => {
  await set(page, 'mode=slow');
  await map(page, '?node=shop%2Fcheckout');
  const judged = page.locator('.panel .judged');
  await expect(judged).toContainText('checkout is slow because of inventory: p90 677 ms');
  await expect(judged.locator('time')).toContainText(/since \d+.min \(\d\d:\d\d:\d\d\)/);
  await judged.getByRole('link', { name: 'inventory' }).click();
  await expect(page.locator('.panel h2')).toContainText('inventory');
  await expect(page.locator('.panel .judged')).toContainText('inventory is slow by itself');
  await expect(page.locator('.panel .judged a')).toHaveCount(0);

  await page.goto('/service?id=shop%2Fcheckout');
  await page.locator('.page > .judged').getByRole('link', { name: 'inventory' }).click();
  await expect(page).toHaveURL(/service\?id=back%2Finventory/);
  await expect(page.locator('.page > .judged')).toContainText('by itself');

  await map(page, `?edge=${encodeURIComponent('shop/checkout>back/inventory|grpc')}`);
  await expect(page.locator('.panel .judged')).toContainText('calls of checkout to inventory');
});

test('a culprit that is well again is gone from everywhere', async ({ page }) => {
  await set(page, 'mode=slow');
  await map(page);
  await expect(page.locator('.verdict')).toBeVisible();
  await set(page, 'mode=calm');
  await expect(page.locator('.verdict')).toHaveCount(0);
  await expect(page.locator('.compass')).toContainText('All well');
});

test('the legend says what each sign means', async ({ page }) => {
  await map(page, '?legend=on');
  const legend = page.locator('.map-legend');
  for (const word of ['slow', 'failing', 'throttled', 'cut off', 'suffers']) await expect(legend).toContainText(word);
});

test('folded: groups name their worst, n unfolds to the culprit, nothing is over the compass, no badge is too wide', async ({
  page,
}) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await set(page, 'mesh=1000');
  await map(page);
  await expect(page.locator('.verdict')).toContainText(/is failing .*suffer/);
  const culprit = await page.evaluate(() => window.binnacleMap!.model.culprits[0]!);
  const group = await page.evaluate(
    (id) => [...window.binnacleMap!.model.nodes.values()].find((n) => n.group?.worst?.id === id)?.id,
    culprit,
  );
  expect(group).toBeDefined();
  await expect.poll(async () => (await boxes(page)).words.map((b) => b.key)).toContain(`b${group!}`);

  const { words, things } = await boxes(page);
  const compass = (await page.locator('.compass').boundingBox())!;
  const canvas = (await page.locator('.map-canvas').boundingBox())!;
  for (const t of things) {
    const over =
      t.x + canvas.x < compass.x + compass.width &&
      compass.x < t.x + t.w + canvas.x &&
      t.y + canvas.y < compass.y + compass.height &&
      compass.y < t.y + t.h + canvas.y;
    expect(over, `${t.key} under the compass`).toBe(false);
    for (const w of words.filter((b) => b.key === `b${t.key}` || b.key === `v${t.key}`)) {
      expect(w.x, w.key).toBeGreaterThanOrEqual(t.x);
      expect(w.x + w.w, w.key).toBeLessThanOrEqual(t.x + t.w);
    }
  }
  await expect(page.locator('.minimap')).toBeHidden();

  await page.keyboard.press('n');
  await expect(page).toHaveURL(new RegExp(encodeURIComponent(culprit)));
  await expect.poll(() => page.evaluate((id) => window.binnacleMap!.place(id) !== undefined, culprit)).toBe(true);
  await expect(page.locator('.panel .judged')).toContainText('by itself');
  // Near by, the small map has something to say.
  await page.keyboard.press('Escape');
  await expect(page.locator('.minimap')).toBeVisible();
});

test('no serious fault by axe where somebody is to blame', async ({ page }) => {
  for (const scheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await set(page, 'mode=each');
    for (const path of ['/?node=shop%2Fcheckout&legend=on', '/?table=on', '/service?id=shop%2Fcheckout']) {
      await page.goto(path);
      await expect(page.locator('.verdict')).toBeVisible();
      await expect(page.locator('.judged, .map-table').first()).toBeVisible();
      await page.addScriptTag({ path: axe });
      const faults = await page.evaluate(async () => {
        const { axe: judge } = window as unknown as { axe: { run: () => Promise<AxeResults> } };
        return (await judge.run()).violations
          .filter((v) => v.impact === 'serious' || v.impact === 'critical')
          .map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 100)).join(' ')}`);
      });
      expect(faults, `${scheme} ${path}`).toEqual([]);
    }
  }
});
