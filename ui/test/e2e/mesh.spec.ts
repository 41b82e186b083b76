import { join } from 'node:path';
import { expect, test, type Page } from '@playwright/test';
import { bigMesh } from '../fixture/bigmesh';
import { countFrames, measureFrames, report } from './frames';

// The map of generated meshes of 1,000, 5,000 and 10,000 services: when it is there, what a frame costs while it is moved,
// whether words and badges keep clear of one another, whether all is in view, and how soon a service is found.
//
// Times are printed, and judged with JUDGE=1 only: on a machine that others use they say nothing. UPDATE_SCREENSHOTS=1
// writes docs/images/map-1000.png and the others.

test.skip(process.env.BINNACLE_URL !== undefined, 'needs the fixture server');
const judged = process.env.JUDGE === '1';

const set = (page: Page, query: string): Promise<unknown> => page.request.get(`/__fixture?${query}`);

test.afterEach(async ({ page }) => {
  await set(page, 'mesh=0');
});

interface Seen {
  boxes: { key: string; x: number; y: number; w: number; h: number }[];
  /** Nodes and folded groups. */
  things: { key: string; x: number; y: number; w: number; h: number }[];
  width: number;
  height: number;
}

const seen = (page: Page): Promise<Seen> =>
  page.evaluate(() => {
    const v = window.binnacleMap!;
    return { boxes: v.boxes(), things: v.things(), width: v.camera.width, height: v.camera.height };
  });

/** Milliseconds from the start of the navigation to the first frame with words in it: to when the map can be read. */
const firstDrawing = async (page: Page): Promise<number> => {
  const at = await page.waitForFunction(() =>
    (window.binnacleMap?.boxes().length ?? 0) > 0 ? performance.now() : undefined,
  );
  return Number(await at.jsonValue());
};

async function shot(page: Page, name: string): Promise<void> {
  if (process.env.UPDATE_SCREENSHOTS !== '1') return;
  const images = join(import.meta.dirname, '../../../docs/images');
  await page.screenshot({ path: join(images, `${name}.png`), timeout: 120_000 });
}

/** Waits until nothing about the words has changed for a while: the map is at rest. */
async function atRest(page: Page): Promise<Seen> {
  let before = '';
  await expect
    .poll(
      async () => {
        const now = JSON.stringify((await seen(page)).boxes.map((b) => b.key).sort());
        const same = now === before && now !== '[]';
        before = now;
        return same;
      },
      { intervals: [400] },
    )
    .toBe(true);
  return seen(page);
}

interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

const overlap = (a: Box, b: Box): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

function overlapping(s: Seen): string[] {
  const bad: string[] = [];
  s.boxes.forEach((a, i) => {
    for (const b of s.boxes.slice(i + 1)) if (overlap(a, b)) bad.push(`${a.key} over ${b.key}`);
    for (const t of s.things) if (!a.key.endsWith(t.key) && overlap(a, t)) bad.push(`${a.key} over ${t.key}`);
  });
  return bad;
}

/** All that is drawn lies in the view, and nothing over another. */
function clear(s: Seen): void {
  for (const b of [...s.things, ...s.boxes]) {
    expect(b.x, JSON.stringify(b)).toBeGreaterThanOrEqual(0);
    expect(b.y, JSON.stringify(b)).toBeGreaterThanOrEqual(0);
    expect(b.x + b.w, JSON.stringify(b)).toBeLessThanOrEqual(s.width);
    expect(b.y + b.h, JSON.stringify(b)).toBeLessThanOrEqual(s.height);
  }
  expect(overlapping(s)).toEqual([]);
}

for (const width of [390, 1440, 2560])
  test(`at rest nothing is over another and nothing is out of view: ${width} wide`, async ({ page }) => {
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: width === 390 ? 844 : width === 1440 ? 900 : 1300 });
    for (const services of [0, 1000, 5000, 10_000]) {
      await set(page, `mesh=${services}`);
      await page.goto('/?labels=on');
      await expect(page.locator('.compass')).toBeVisible();
      await page.keyboard.press('0');
      clear(await atRest(page));
    }
  });

for (const services of [1000, 5000, 10_000]) {
  test(`a mesh of ${services} services`, async ({ page }) => {
    const wanted = 'payments-web-002';
    await set(page, `mesh=${services}`);
    await countFrames(page);
    await page.goto('/', { waitUntil: 'commit' });
    const first = await firstDrawing(page);
    await expect(page.locator('.compass')).toBeVisible();

    const whole = await atRest(page);
    expect(whole.things.length).toBeGreaterThan(35);
    clear(whole);
    await shot(page, `map-${services}`);
    // What the map sums is what the mesh has: requests into groups and within them are all requests.
    const sums = await page.evaluate(() => {
      let n = 0;
      for (const { windows, group } of window.binnacleMap!.model.nodes.values())
        if (group !== undefined) n += (windows['10s']?.rate ?? 0) + (group.inner['10s']?.rate ?? 0);
      return n;
    });
    const all = bigMesh(services, Date.now(), 1).edges.reduce((n, e) => n + e.windows['10s']!.rate, 0);
    expect(sums / all).toBeGreaterThan(0.97);
    expect(sums / all).toBeLessThan(1.03);

    const typed = Date.now();
    await page.keyboard.press('/');
    await page.keyboard.type(wanted);
    await expect(page.locator('.search li', { hasText: wanted }).first()).toBeVisible();
    const foundIn = await page.evaluate(() => performance.getEntriesByName('found').at(-1)?.duration ?? Infinity);
    const foundAll = Date.now() - typed;
    await page.keyboard.press('Enter');
    await expect(page.locator('.panel h2')).toContainText(wanted);
    await expect
      .poll(() => page.evaluate((id) => window.binnacleMap!.place(id) !== undefined, `payments/${wanted}`))
      .toBe(true);
    const near = await atRest(page);
    expect(overlapping(near)).toEqual([]);
    await page.keyboard.press('Escape');

    console.log(
      `${services} services: first drawing ${first.toFixed(0)} ms, found in ${foundIn.toFixed(0)} ms (typing and all ${foundAll} ms)`,
    );
    await page.keyboard.press('0');
    await page.mouse.move(800, 450);
    const work = await measureFrames(page, async (i) => {
      if (i % 40 < 20) await page.mouse.wheel(0, i % 40 < 10 ? -120 : 120);
      else {
        if (i % 20 === 0) await page.mouse.down();
        await page.mouse.move(800 + 12 * ((i % 20) - 10), 450 + 6 * ((i % 20) - 10));
        if (i % 20 === 19) await page.mouse.up();
      }
    });
    console.log(report(`moving ${services} services`, work));
    if (judged) {
      expect(first).toBeLessThan(3000);
      expect(work.frame.p95).toBeLessThanOrEqual(8);
      expect(foundIn).toBeLessThan(200);
    }
  });
}
