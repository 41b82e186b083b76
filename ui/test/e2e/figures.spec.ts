import { expect, test, type Page } from '@playwright/test';

// One service has one rate of requests, of errors and of throttled requests, wherever they are shown: the API, the head of
// its page, its operations, its charts, the map's panel. Runs against the fixture server, and against a real one.
//
// All are of the last minute, but none is of quite the same one: the API is asked before and after, and what is shown
// must lie between the two, give or take what traffic swings in the seconds between, and what rounding takes away.

interface Figures {
  rate: number;
  errors: number;
  throttled: number;
}

interface Windows {
  windows: Record<string, { rate: number; error_rate: number; throttled_rate: number } | undefined>;
}
interface Graph {
  nodes: (Windows & { id: string; name: string; namespace: string; kind: string })[];
  edges: (Windows & { source: string; target: string; id: string })[];
}

const SWING = 0.3;
const FLOOR = 0.6;

const graphOf = async (page: Page): Promise<Graph> => (await (await page.request.get('/api/v1/graph')).json()) as Graph;

function lastMinute(of: Windows): Figures {
  const w = of.windows['1m'];
  return { rate: w?.rate ?? 0, errors: w?.error_rate ?? 0, throttled: w?.throttled_rate ?? 0 };
}

const add = (a: Figures, b: Figures): Figures => ({
  rate: a.rate + b.rate,
  errors: a.errors + b.errors,
  throttled: a.throttled + b.throttled,
});
const NONE: Figures = { rate: 0, errors: 0, throttled: 0 };

/** Reads what people read: 12/s, 3.4 k/s, <0.1 %, 6.5 %. */
function read(text: string): number {
  const m = /(<?)([\d.]+)\s*([kM]?)/.exec(text.replace('\u202f', ' '));
  if (m === null) return 0;
  if (m[1] === '<') return 0;
  return Number(m[2]) * (m[3] === 'k' ? 1e3 : m[3] === 'M' ? 1e6 : 1);
}

const share = (text: string): number => read(text) / 100;

/** The services to look at: the busiest, the one with most errors, the one with most refusals. */
function chosen(g: Graph): string[] {
  const called = g.nodes.filter((n) => n.kind === 'service' && g.edges.some((e) => e.target === n.id));
  const most = (f: (x: Figures) => number): string | undefined =>
    [...called].sort((a, b) => f(lastMinute(b)) - f(lastMinute(a)))[0]?.id;
  return [...new Set([most((x) => x.rate), most((x) => x.errors), most((x) => x.throttled)])].filter(
    (id) => id !== undefined,
  );
}

async function header(page: Page): Promise<Figures> {
  const figures = await page
    .locator('.page-head .figures .big')
    .evaluateAll((all) =>
      all.map((e) => [e.querySelector('span')?.textContent ?? '', e.querySelector('b')?.textContent ?? ''] as const),
    );
  const of = (label: string): string => figures.find(([l]) => l === label)?.[1] ?? '0';
  const rate = read(of('requests'));
  return { rate, errors: rate * share(of('errors')), throttled: read(of('throttled')) };
}

async function operations(page: Page): Promise<Figures> {
  const table = await page.locator('.operations table').evaluate((t) => ({
    names: [...t.querySelectorAll('th')].map((h) => h.textContent),
    rows: [...t.querySelectorAll('tbody tr')].map((r) => ({
      kind: r.querySelector('td small')?.textContent ?? '',
      cells: [...r.querySelectorAll('td')].map((c) => c.textContent),
    })),
  }));
  return table.rows
    .filter((r) => r.kind === 'server' || r.kind === 'consumer')
    .map((r) => {
      // A column that is not there, as of what is throttled where nothing is, reads as 0.
      const cell = (name: string): string => r.cells[table.names.indexOf(name)] ?? '0';
      const rate = read(cell('rate'));
      return { rate, errors: rate * share(cell('errors')), throttled: rate * share(cell('throttled')) };
    })
    .reduce(add, NONE);
}

/** The newest values of the chart of rates, beside its title. */
async function chart(page: Page): Promise<Figures> {
  const values = await page
    .locator('.plot', { hasText: 'Rate' })
    .locator('.figure')
    .evaluateAll((all) => all.map((e) => e.textContent.trim()));
  const of = (label: string): number => read((values.find((v) => v.startsWith(label)) ?? '').slice(label.length));
  const [ok, errors, throttled] = [of('ok'), of('errors'), of('throttled')];
  return { rate: ok + errors + throttled, errors, throttled };
}

async function edgesOfPanel(page: Page): Promise<Omit<Figures, 'throttled'>> {
  const rows = await page
    .locator('.panel section', { has: page.getByRole('heading', { name: 'Called by' }) })
    .locator('li')
    .evaluateAll((all) => all.map((r) => [...r.querySelectorAll('.num')].map((c) => c.textContent)));
  // The list of edges has no column for what is throttled.
  const { rate, errors } = rows
    .map(([r, e]) => ({ ...NONE, rate: read(r!), errors: read(r!) * share(e!) }))
    .reduce(add, NONE);
  return { rate, errors };
}

function agree(what: string, shown: Partial<Figures>, before: Figures, after: Figures): void {
  for (const [k, v] of Object.entries(shown)) {
    const [a, b] = [before[k as keyof Figures], after[k as keyof Figures]];
    const slack = FLOOR + SWING * Math.max(a, b);
    expect(v, `${what}: ${k}, by the API ${a} before and ${b} after`).toBeGreaterThan(Math.min(a, b) - slack);
    expect(v, `${what}: ${k}, by the API ${a} before and ${b} after`).toBeLessThan(Math.max(a, b) + slack);
  }
}

test('figures: one service shows the same ones everywhere', async ({ page }) => {
  const ids = chosen(await graphOf(page));
  expect(ids.length, 'services with traffic').toBeGreaterThan(0);
  for (const id of ids) {
    const now = async (): Promise<{ node: Figures; edges: Figures }> => {
      const g = await graphOf(page);
      const edges = g.edges.filter((e) => e.target === id).map(lastMinute);
      return { node: lastMinute(g.nodes.find((n) => n.id === id)!), edges: edges.reduce(add, NONE) };
    };
    const before = await now();
    await page.goto(`/service?id=${encodeURIComponent(id)}`);
    await expect(page.locator('.operations tbody tr').first()).toBeVisible();
    await expect(page.locator('.plot .figure').first()).toBeVisible();
    const shown = { header: await header(page), operations: await operations(page), chart: await chart(page) };
    await page.goto(`/?node=${encodeURIComponent(id)}&win=1m`);
    await expect(page.locator('.panel .plot .figure').first()).toBeVisible();
    const panel = { edges: await edgesOfPanel(page), chart: await chart(page) };
    const after = await now();
    console.log(id, JSON.stringify({ before, ...shown, panel, after }));

    agree(`${id}, API, sum of the edges`, before.edges, before.node, before.node);
    agree(`${id}, head of its page`, shown.header, before.node, after.node);
    agree(`${id}, its operations`, shown.operations, before.node, after.node);
    agree(`${id}, chart of its page`, shown.chart, before.node, after.node);
    agree(`${id}, edges in the map's panel`, panel.edges, before.node, after.node);
    agree(`${id}, chart in the map's panel`, panel.chart, before.node, after.node);
  }
});
