import { expect, test, type Page } from '@playwright/test';

// One service has one rate of requests, of errors and of throttled requests, wherever they are shown: the API, the head of
// its page, its operations, its charts, the map's panel. Runs against the fixture server, and against a real one.
//
// All are of the last minute, but none is of quite the same one: a chart's newest point is some seconds old, as series are
// written every 5 s and drawn every 10 s. So the API is asked again and again, from before such a point until the page was
// read, and what is shown must lie between the least and the most that it said, give or take what rounding takes away and
// what samples miss.

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

const SWING = 0.25;
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

/** How old what a page shows may be. */
const OLDEST_MS = 25_000;

/** What the API has said of late. */
class Samples {
  private readonly taken: { at: number; graph: Graph }[] = [];
  constructor(private readonly page: Page) {}

  async take(): Promise<Graph> {
    const graph = await graphOf(this.page);
    this.taken.push({ at: Date.now(), graph });
    return graph;
  }

  of(id: string): Figures[] {
    return this.taken
      .filter((s) => s.at > Date.now() - OLDEST_MS - 15_000)
      .flatMap((s) => s.graph.nodes.filter((n) => n.id === id).map(lastMinute));
  }
}

function agree(what: string, shown: Partial<Figures>, said: readonly Figures[]): void {
  for (const [k, v] of Object.entries(shown)) {
    const all = said.map((f) => f[k as keyof Figures]);
    const [least, most] = [Math.min(...all), Math.max(...all)];
    expect(v, `${what}: ${k}, by the API ${least} to ${most}`).toBeGreaterThanOrEqual(least * (1 - SWING) - FLOOR);
    expect(v, `${what}: ${k}, by the API ${least} to ${most}`).toBeLessThanOrEqual(most * (1 + SWING) + FLOOR);
  }
}

test('figures: one service shows the same ones everywhere', async ({ page }) => {
  const samples = new Samples(page);
  for (const began = Date.now(); Date.now() - began < OLDEST_MS;) {
    await samples.take();
    await page.waitForTimeout(2000);
  }
  const ids = chosen(await samples.take());
  expect(ids.length, 'services with traffic').toBeGreaterThan(0);
  for (const id of ids) {
    const g = await samples.take();
    const edges = g.edges.filter((e) => e.target === id).map(lastMinute);
    agree(`${id}, API, sum of the edges`, edges.reduce(add, NONE), [lastMinute(g.nodes.find((n) => n.id === id)!)]);

    await page.goto(`/service?id=${encodeURIComponent(id)}`);
    await expect(page.locator('.operations tbody tr').first()).toBeVisible();
    await expect(page.locator('.plot .figure').first()).toBeVisible();
    const shown = { header: await header(page), operations: await operations(page), chart: await chart(page) };
    await samples.take();
    await page.goto(`/?node=${encodeURIComponent(id)}&win=1m`);
    await expect(page.locator('.panel .plot .figure').first()).toBeVisible();
    const panel = { edges: await edgesOfPanel(page), chart: await chart(page) };
    await samples.take();
    console.log(id, JSON.stringify({ ...shown, panel }));

    const said = samples.of(id);
    agree(`${id}, head of its page`, shown.header, said);
    agree(`${id}, its operations`, shown.operations, said);
    agree(`${id}, chart of its page`, shown.chart, said);
    agree(`${id}, edges in the map's panel`, panel.edges, said);
    agree(`${id}, chart in the map's panel`, panel.chart, said);
  }
});
