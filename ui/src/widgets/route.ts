import { computed, signal } from '@preact/signals';
import { WINDOWS, type LiveWindow } from '../api/types';

// The address is the state: page, selection, filters, time. Reading it is a signal; writing it is history.

export interface Route {
  path: string;
  params: URLSearchParams;
}

function here(): Route {
  return { path: location.pathname, params: new URLSearchParams(location.search) };
}

export const route = signal<Route>(here());

addEventListener('popstate', () => {
  route.value = here();
});

export type Params = Record<string, string | undefined>;

/** Parameters that go along from page to page: the time that is looked at. */
const CARRIED = ['from', 'to', 'last'];

export function href(path: string, params: Params = {}): string {
  const q = new URLSearchParams();
  for (const k of CARRIED) {
    const v = route.value.params.get(k);
    if (v !== null && !(k in params)) q.set(k, v);
  }
  for (const [k, v] of Object.entries(params)) if (v !== undefined && v !== '') q.set(k, v);
  const text = q.toString();
  return text === '' ? path : `${path}?${text}`;
}

export function go(url: string, replace = false): void {
  if (replace) history.replaceState(null, '', url);
  else if (url !== location.pathname + location.search) history.pushState(null, '', url);
  route.value = here();
}

/** Changes some parameters of the current page; undefined removes one. Small changes replace, so that Back leaves the page. */
export function patch(params: Params, replace = true): void {
  const q = new URLSearchParams(route.value.params);
  for (const [k, v] of Object.entries(params)) {
    if (v === undefined || v === '') q.delete(k);
    else q.set(k, v);
  }
  const text = q.toString();
  go(text === '' ? route.value.path : `${route.value.path}?${text}`, replace);
}

export const param = (name: string): string | undefined => route.value.params.get(name) ?? undefined;

export interface Range {
  from: number;
  to: number;
}

/** The past range that is looked at, or undefined for live. */
export const range = computed<Range | undefined>(() => {
  const from = Number(route.value.params.get('from') ?? NaN);
  const to = Number(route.value.params.get('to') ?? NaN);
  return Number.isFinite(from) && Number.isFinite(to) && to > from ? { from, to } : undefined;
});

/** The window whose figures the map shows while live. */
export const mapWindow = computed<LiveWindow>(() => WINDOWS.find((w) => w === route.value.params.get('win')) ?? '10s');

const LASTS: Record<string, number> = {
  '5m': 300_000,
  '15m': 900_000,
  '1h': 3_600_000,
  '6h': 21_600_000,
  '24h': 86_400_000,
};
export const LAST_NAMES = Object.keys(LASTS);

/** How far back charts reach while live. */
export const last = computed(() => {
  const name = route.value.params.get('last') ?? '15m';
  return LASTS[name] === undefined ? { name: '15m', ms: LASTS['15m']! } : { name, ms: LASTS[name] };
});

/** The range that charts draw: the past one, or up to now. */
export function chartRange(now: number): Range {
  return range.value ?? { from: now - last.value.ms, to: now };
}
