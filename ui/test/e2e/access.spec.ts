import { createRequire } from 'node:module';
import { expect, test } from '@playwright/test';
import type { AxeResults } from 'axe-core';
import { BIG_TRACE } from '../fixture/traces';

// What everybody can use: no page has a serious fault by axe's rules, and none is wider than its window.

test.skip(process.env.BINNACLE_URL !== undefined, 'needs the fixture server');
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

test.afterEach(async ({ page }) => {
  await page.request.get('/__fixture?mesh=0');
});

const PAGES: readonly [path: string, sign: string, mesh: number][] = [
  ['/', '.compass', 0],
  ['/?node=shop%2Fcheckout&legend=on', '.panel .edges li', 0],
  ['/?table=on', '.map-table tbody tr', 0],
  ['/', '.compass', 1000],
  ['/?node=group%3Acart', '.group-sums', 1000],
  ['/service?id=shop%2Fcheckout', '.operations tbody tr', 0],
  ['/traces', '.trace-list li', 0],
  [`/trace/${BIG_TRACE}`, '.waterfall-canvas', 0],
  ['/quotas', '.rule', 0],
];

for (const [scheme, width] of [
  ['dark', 1440],
  ['light', 2560],
  ['dark', 390],
] as const)
  test(`no serious fault, no overflow: ${scheme}, ${width} wide`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.setViewportSize({ width, height: 900 });
    for (const [path, sign, mesh] of PAGES) {
      await page.request.get(`/__fixture?mesh=${mesh}`);
      await page.goto(path);
      await expect(page.locator(sign).first(), path).toBeVisible();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
      await page.addScriptTag({ path: axe });
      const faults = await page.evaluate(async () => {
        const { axe: judge } = window as unknown as { axe: { run: () => Promise<AxeResults> } };
        return (await judge.run()).violations
          .filter((v) => v.impact === 'serious' || v.impact === 'critical')
          .map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 100)).join(' ')}`);
      });
      expect(faults, path).toEqual([]);
    }
  });
