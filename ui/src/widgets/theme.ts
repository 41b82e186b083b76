import { effect, signal } from '@preact/signals';
import { mix, parseColor, type RGBA } from '../base/color';

// The canvases read their colours from the same custom properties as the page.

export type Theme = 'dark' | 'light';

export const theme = signal<Theme>(document.documentElement.dataset.theme === 'light' ? 'light' : 'dark');

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function toggleTheme(): void {
  theme.value = theme.value === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem('binnacle.theme', theme.value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

const NAMES = [
  'backdrop',
  'vignette',
  'grid',
  'area',
  'outline',
  'fringe',
  'ink',
  'ink2',
  'ink3',
  'ok',
  'degraded',
  'failing',
  'throttled',
  'cutoff',
  'victim',
  'idle',
  'accent',
  'node',
  'gauge',
  'panel',
  'raised',
  'hover',
  'rule',
  'page',
] as const;
export type Colors = Record<(typeof NAMES)[number], RGBA>;

const read = new Map<Theme, Colors>();

/** The colours of the current theme; call within a component or effect, so that it runs again when the theme changes. */
export function colors(): Colors {
  const now = theme.value;
  const known = read.get(now);
  if (known !== undefined) return known;
  const style = getComputedStyle(document.documentElement);
  const all = Object.fromEntries(NAMES.map((n) => [n, parseColor(style.getPropertyValue(`--${n}`))])) as Colors;
  read.set(now, all);
  return all;
}

// Colours for the services of a trace. None is a colour that means trouble.
const SERVICES: Record<Theme, string[]> = {
  dark: ['#4fa3a5', '#6d9bd1', '#9bb36a', '#b58fc9', '#c8a46a', '#5fb58a', '#8d9fb0', '#c98a94', '#7d8fe0', '#a8a05a'],
  light: ['#3f8f93', '#4c7db8', '#7a9440', '#8e62a8', '#a37c34', '#3c9268', '#6b7f90', '#aa6470', '#5c6cc4', '#857d33'],
};

export function serviceColors(): RGBA[] {
  const c = colors();
  return SERVICES[theme.value].map((h) => mix(parseColor(h), c.panel, 0.06));
}
