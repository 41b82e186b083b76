import { expect, test, type Page } from '@playwright/test';
import { BIG_TRACE } from '../fixture/traces';
import { countFrames, framesPainted, measureFrames, report } from './frames';

// What only a server that obeys can show: empty, failing, cut off, and time. Fixture server only.

test.skip(process.env.BINNACLE_URL !== undefined, 'needs the fixture server');

const set = (page: Page, query: string): Promise<unknown> => page.request.get(`/__fixture?${query}`);

test.afterEach(async ({ page }) => {
  await set(page, 'mode=lively&quota_error=&cut=0&followers=well&damaged=no');
});

const places = (page: Page): Promise<Record<string, [number, number]>> =>
  page.evaluate(() => JSON.parse(localStorage.getItem('binnacle.places') ?? '{}') as Record<string, [number, number]>);

test('empty: each page says how to begin', async ({ page }) => {
  await set(page, 'mode=empty');
  await page.goto('/');
  await expect(page.locator('.state')).toContainText('Open water');
  for (const path of ['/', '/service', '/traces']) {
    await page.goto(path);
    await expect(page.locator('.pasted pre').first(), path).toContainText('port_value: 19091');
    await expect(page.locator('.ports'), path).toContainText('127.0.0.1:14317');
    expect(await page.locator('.state').innerText(), path).not.toMatch(/:\s*(9091|4317|4318)\b/);
  }
  await page.goto('/quotas');
  await expect(page.locator('.state')).toContainText('No rule is loaded');
  await expect(page.locator('.pasted pre').first()).toContainText('envoy.filters.http.ratelimit');
});

test('what is to be pasted: each way, copied as the server writes it', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await set(page, 'mode=empty');
  await page.goto('/');
  const served = async (path: string): Promise<string> => (await page.request.get(path)).text();
  const copied = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());
  const copy = async (n: number): Promise<string> => {
    await page.getByRole('button', { name: 'Copy' }).nth(n).click();
    await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible();
    return copied();
  };
  expect(await copy(0)).toBe(await served('/api/v1/connect/envoy?part=cluster'));
  await page.getByRole('radio', { name: 'A whole Envoy' }).click();
  await expect(page.locator('.pasted pre').nth(1)).toContainText('static_resources');
  expect(await copy(1)).toBe(await served('/api/v1/connect/envoy?part=bootstrap'));
  await page.getByRole('radio', { name: 'OpenTelemetry SDK' }).click();
  await expect(page.locator('.pasted pre')).toContainText('OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:14318');
  expect(await copy(0)).toBe(await served('/api/v1/connect/opentelemetry'));
});

test('what is to be pasted: a closed port is said, in the server’s words', async ({ page }) => {
  await set(page, 'mode=empty');
  await page.route('**/api/v1/connect/**', (r) =>
    r.fulfill({
      status: 404,
      json: { title: 'Not Found', status: 404, detail: 'listen.mesh opens a port for proxies' },
    }),
  );
  await page.goto('/');
  await expect(page.locator('.pasted [role=alert]').first()).toContainText('listen.mesh opens a port for proxies');
});

test('followers: a quiet word while all keep up, a notice on each page when one does not', async ({ page }) => {
  await page.goto('/');
  await expect(page.locator('.keeping-up')).toContainText('caught up');
  await expect(page.locator('.keeping-up')).toHaveAttribute('title', /graph: .*\nblocks: /);
  await expect(page.locator('.notices .notice')).toHaveCount(0);

  await set(page, 'followers=late');
  for (const path of ['/', '/service', '/traces', '/quotas']) {
    await page.goto(path);
    await expect(page.locator('.notices [role=status]'), path).toContainText(
      /blocks is 14.2.s \(38.4.MB\) behind the log/,
    );
    await expect(page.locator('.keeping-up'), path).toHaveCount(0);
  }
  // It goes by itself when the follower has caught up.
  await set(page, 'followers=well');
  await expect(page.locator('.notices .notice')).toHaveCount(0);
});

test('followers: what one left out is told until it is dismissed', async ({ page }) => {
  await set(page, 'followers=lossy');
  await page.goto('/traces');
  const notice = page.locator('.notices [role=alert]');
  await expect(notice).toContainText(/warehouse .* left out 41 batches \(18.4.k spans, 5.2.k requests\)/);
  await notice.getByRole('button', { name: 'Dismiss' }).click();
  await expect(notice).toHaveCount(0);
});

test('followers: a server that tells of none shows neither', async ({ page }) => {
  await set(page, 'followers=unknown');
  const answered = page.waitForResponse('**/api/v1/status');
  await page.goto('/');
  await answered;
  await expect(page.locator('.compass')).toBeVisible();
  await expect(page.locator('.keeping-up, .notices .notice')).toHaveCount(0);
});

test('loading: drawn until the answer comes', async ({ page }) => {
  await page.route('**/api/v1/**', () => undefined);
  for (const path of ['/', '/service', '/traces', '/trace/00', '/quotas']) {
    await page.goto(path);
    await expect(page.locator('.state[role=status]'), path).toBeVisible();
  }
});

test('errors: the server’s own words, and a way to try again', async ({ page }) => {
  let failing = true;
  await page.route('**/api/v1/{traces,quotas}*', (r) =>
    failing
      ? r.fulfill({
          status: 503,
          contentType: 'application/problem+json',
          body: '{"title":"Starting","status":503,"detail":"Blocks are still being opened; try again in a moment."}',
        })
      : r.continue(),
  );
  await page.goto('/traces');
  await expect(page.locator('.state[role=alert]')).toContainText('Blocks are still being opened');
  await page.goto('/quotas');
  await expect(page.locator('.state[role=alert]')).toContainText('Blocks are still being opened');
  failing = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.locator('.rule').first()).toBeVisible();
  await page.goto('/trace/0123456789abcdef0123456789abcdef');
  await expect(page.locator('.state[role=alert]')).toContainText('No span of trace');
  await page.route('**/api/v1/graph?*', (r) =>
    r.fulfill({
      status: 400,
      contentType: 'application/problem+json',
      body: '{"title":"Bad range","status":400,"detail":"That time is older than the series store reaches."}',
    }),
  );
  await page.goto('/?from=1000&to=2000');
  await expect(page.locator('.state[role=alert]')).toContainText('older than the series store');
});

test('a wrong shape is one clear sentence', async ({ page }) => {
  await page.route('**/api/v1/quotas', (r) => r.fulfill({ json: { rules: [{ id: 7 }] } }));
  await page.goto('/quotas');
  await expect(page.locator('.state[role=alert]')).toContainText('rules[0].id should be a string, but is number');
});

test('reconnecting: the map stays, says so, and comes back', async ({ page }) => {
  await page.goto('/');
  await expect(page.locator('.compass')).toBeVisible();
  await expect(page.locator('.conn.open')).toBeVisible();
  await set(page, 'cut=4000');
  await expect(page.locator('.conn.lost')).toContainText('Reconnecting');
  await expect(page.locator('.compass')).toBeVisible();
  await expect(page.locator('.conn.open')).toBeVisible();
});

test('quota files that were refused show their reason', async ({ page }) => {
  await set(
    page,
    `quota_error=${encodeURIComponent('shop.yaml:14: descriptors[0].rate_limit.unit: "fortnight" is no unit')}`,
  );
  await page.goto('/quotas');
  await expect(page.locator('.banner')).toContainText('fortnight');
  await expect(page.locator('.rule').first()).toBeVisible();
});

test('nobody moves: not by deltas, not by newcomers, not by a reload', async ({ page }) => {
  await set(page, 'mode=calm');
  await page.goto('/');
  await expect(page.locator('.compass')).toBeVisible();
  const before = await places(page);
  expect(Object.keys(before).length).toBeGreaterThan(20);
  await set(page, 'mode=lively');
  await page.waitForTimeout(3000);
  await page.reload();
  await expect(page.locator('.compass')).toBeVisible();
  const after = await places(page);
  for (const [id, p] of Object.entries(before)) expect(after[id], id).toEqual(p);
});

test('the address is the state', async ({ page }) => {
  await page.goto('/?node=shop%2Fcheckout&focus=2&win=1m');
  await expect(page.locator('.panel h2')).toContainText('checkout');
  await page.reload();
  await expect(page.locator('.panel h2')).toContainText('checkout');
  await expect(page.locator('.segments [aria-checked=true]', { hasText: '1m' })).toBeVisible();
  const now = Date.now();
  await page.goto(`/?from=${now - 600_000}&to=${now - 300_000}`);
  await expect(page.locator('.strip.past')).toBeVisible();
  await expect(page.locator('.compass')).toBeVisible();
  await page.getByRole('link', { name: 'Traces' }).click();
  await expect(page).toHaveURL(/traces\?from=\d+&to=\d+/);
  await page.keyboard.press('l');
  await expect(page).not.toHaveURL(/from=/);
});

test('arrows walk the map, Escape lets go', async ({ page }) => {
  await page.goto('/?node=edge%2Fgateway');
  await expect(page.locator('.compass')).toBeVisible();
  await page.keyboard.press('ArrowRight');
  await expect(page).not.toHaveURL(/gateway/);
  await expect(page.locator('.panel')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.locator('.panel')).toHaveCount(0);
});

test('a still map for those who ask for it, and for nobody: no frame without need', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await countFrames(page);
  await set(page, 'mode=empty');
  await page.goto('/');
  await expect(page.locator('.state')).toBeVisible();
  await page.waitForTimeout(1500);
  const before = await framesPainted(page);
  await page.waitForTimeout(2000);
  // The empty stream still sends deltas, which may each cost a frame; nothing animates.
  expect((await framesPainted(page)) - before).toBeLessThanOrEqual(12);
});

test('waterfall: 10,000 spans scroll within the frame budget', async ({ page }) => {
  await countFrames(page);
  await page.goto(`/trace/${BIG_TRACE}`);
  await expect(page.locator('.waterfall-canvas')).toBeVisible();
  await expect(page.locator('.figures')).toContainText('10,000');
  await page.waitForTimeout(1500);
  await page.mouse.move(400, 600);
  const work = await measureFrames(page, () => page.mouse.wheel(0, 700));
  console.log(report('scrolling 10,000 spans', work));
  if (process.env.JUDGE === '1') {
    expect(work.frames, 'frames painted').toBeGreaterThanOrEqual(20);
    expect(work.frame.p95).toBeLessThanOrEqual(8);
  }
});

test('narrow: no page is wider than a telephone', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const tooWide = (): Promise<string[]> =>
    page.evaluate(() =>
      ['html', '.top', 'main', '.page', '.map-state', '.state', '.panel'].filter((s) =>
        [...document.querySelectorAll(s)].some((e) => e.scrollWidth > e.clientWidth + 1 || e.clientWidth > innerWidth),
      ),
    );
  for (const [path, sign] of [
    ['/', '.compass'],
    ['/?node=shop%2Fcheckout', '.panel .edges li'],
    ['/service?id=shop%2Fcheckout', '.operations tbody tr'],
    ['/traces', '.trace-list li'],
    ['/quotas', '.rule'],
  ] as const) {
    await page.goto(path);
    await expect(page.locator(sign).first(), path).toBeVisible();
    await expect.poll(tooWide, path).toEqual([]);
  }
  await set(page, 'mode=empty');
  for (const path of ['/', '/service', '/traces', '/quotas']) {
    await page.goto(path);
    await expect(page.locator('.pasted pre').first(), path).toBeVisible();
    await expect.poll(tooWide, path).toEqual([]);
  }
});

test('waterfall: fold, search, walk', async ({ page }) => {
  await page.goto(`/trace/${BIG_TRACE}`);
  await expect(page.locator('.waterfall-canvas')).toBeVisible();
  const height = (): Promise<number> => page.locator('.waterfall').evaluate((e) => e.scrollHeight);
  const whole = await height();
  await page.getByRole('button', { name: 'Fold', exact: true }).click();
  await expect.poll(height).toBeLessThan(whole / 10);
  await page.keyboard.press('/');
  await page.keyboard.type('fraud');
  await page.keyboard.press('Enter');
  await expect(page.locator('.span-panel')).toBeVisible();
  await expect(page).toHaveURL(/q=fraud.*span=|span=.*q=fraud/);
});

test('a past map that may lack something says so on the map and on a page, the live one does not', async ({ page }) => {
  await set(page, 'damaged=yes');
  const now = Date.now();
  for (const path of [
    `/?from=${now - 600_000}&to=${now - 300_000}`,
    `/service?from=${now - 600_000}&to=${now - 300_000}`,
  ]) {
    await page.goto(path);
    await expect(page.locator('main [role=alert]'), path).toContainText('series/damaged-01K0 could not be read');
  }
  await page.goto('/');
  await expect(page.locator('.compass')).toBeVisible();
  await expect(page.locator('main [role=alert]')).toHaveCount(0);
});

test('traces: an answer that may lack something says so, with the file', async ({ page }) => {
  await set(page, 'damaged=yes');
  await page.goto('/traces');
  const told = page.locator('.notice.bad[role=alert]');
  await expect(told).toContainText('0000000000000812/spans.parquet could not be read (checksum does not match)');
  await page.locator('a[href^="/trace/"]').first().click();
  await expect(page.locator('.page-head .notice.bad')).toContainText('This may be incomplete');
});
