// Colours as the drawing code needs them: linear arithmetic on plain RGBA, read from CSS custom properties so that
// the canvas and the page can never disagree on a theme.

export type RGBA = readonly [r: number, g: number, b: number, a: number];

/** Parses #rgb, #rrggbb and #rrggbbaa into components of 0..1; anything else is opaque grey, visible but harmless. */
export function parseColor(text: string): RGBA {
  const m = /^#([0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})$/i.exec(text.trim());
  const hex = m?.[1];
  if (hex === undefined) return [0.5, 0.5, 0.5, 1];
  const full = hex.length === 3 ? hex.replace(/./g, '$&$&') : hex;
  const at = (i: number): number => parseInt(full.slice(i, i + 2), 16) / 255;
  return [at(0), at(2), at(4), full.length === 8 ? at(6) : 1];
}

export function mix(a: RGBA, b: RGBA, t: number): RGBA {
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t, a[3] + (b[3] - a[3]) * t];
}

export function alpha(c: RGBA, a: number): RGBA {
  return [c[0], c[1], c[2], c[3] * a];
}

export function css(c: RGBA): string {
  const n = (v: number): number => Math.round(v * 255);
  return `rgba(${n(c[0])},${n(c[1])},${n(c[2])},${Math.round(c[3] * 1000) / 1000})`;
}
