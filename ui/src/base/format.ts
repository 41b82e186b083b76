// Numbers as people read them: two or three significant digits, the unit that keeps them short.

const NARROW = '\u202f';

function digits(v: number): string {
  const a = Math.abs(v);
  if (a >= 100) return v.toFixed(0);
  if (a >= 10) return v.toFixed(a % 1 < 0.05 || a % 1 > 0.95 ? 0 : 1);
  if (a >= 1) return trimZero(v.toFixed(1));
  return trimZero(v.toPrecision(2));
}

function trimZero(s: string): string {
  return s.includes('.') && !s.includes('e') ? s.replace(/\.?0+$/, '') : s;
}

/** A count: 940, 1.2 k, 3.4 M. */
export function count(v: number): string {
  const a = Math.abs(v);
  if (a < 1000) return Number.isInteger(v) ? String(v) : digits(v);
  if (a < 1e6) return digits(v / 1e3) + NARROW + 'k';
  if (a < 1e9) return digits(v / 1e6) + NARROW + 'M';
  return digits(v / 1e9) + NARROW + 'G';
}

/** A size: 940 B, 1.2 kB, 3.4 MB. */
export function bytes(v: number): string {
  const a = Math.abs(v);
  if (a < 1000) return `${Math.round(v)}${NARROW}B`;
  if (a < 1e6) return `${digits(v / 1e3)}${NARROW}kB`;
  if (a < 1e9) return `${digits(v / 1e6)}${NARROW}MB`;
  return `${digits(v / 1e9)}${NARROW}GB`;
}

/** Requests a second: 0/s, 0.04/s, 12/s, 3.4 k/s. */
export function rate(v: number): string {
  if (v > 0 && v < 0.005) return '<0.01/s';
  if (v < 0.1) return trimZero(v.toFixed(2)) + '/s';
  return count(v < 10 ? Math.round(v * 10) / 10 : Math.round(v)) + '/s';
}

/** A duration given in milliseconds: 420 µs, 3.1 ms, 1.42 s, 2 min. */
export function duration(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return '–';
  const a = Math.abs(ms);
  if (a === 0) return '0' + NARROW + 'ms';
  if (a < 0.001) return digits(ms * 1e6) + NARROW + 'ns';
  if (a < 1) return digits(ms * 1e3) + NARROW + 'µs';
  if (a < 1000) return digits(ms) + NARROW + 'ms';
  if (a < 60_000) return trimZero((ms / 1000).toFixed(a < 10_000 ? 2 : 1)) + NARROW + 's';
  if (a < 3_600_000) return digits(ms / 60_000) + NARROW + 'min';
  if (a < 86_400_000) return digits(ms / 3_600_000) + NARROW + 'h';
  return digits(ms / 86_400_000) + NARROW + 'd';
}

/** How long ago, in whole units, as one says it: 12 s, 2 min, 3 h, 5 d. */
export function age(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  const [v, unit] = s < 60 ? [s, 's'] : s < 3600 ? [s / 60, 'min'] : s < 86_400 ? [s / 3600, 'h'] : [s / 86_400, 'd'];
  return `${Math.floor(v)}${NARROW}${unit}`;
}

/** A share given as 0..1: 0 %, 0.3 %, 6.5 %, 100 %. */
export function percent(share: number): string {
  const p = share * 100;
  if (p > 0 && p < 0.1) return '<0.1' + NARROW + '%';
  return digits(p) + NARROW + '%';
}

const pad = (v: number, n = 2): string => String(v).padStart(n, '0');

/** Local wall-clock time of a Unix ms value: 14:03:07. */
export function clock(ms: number): string {
  const d = new Date(ms);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

/** 14:03:07.250 */
export function clockMillis(ms: number): string {
  return `${clock(ms)}.${pad(Math.floor(((ms % 1000) + 1000) % 1000), 3)}`;
}

/** Date and time where the day is not today's. */
export function when(ms: number, now: number): string {
  const d = new Date(ms);
  const short = `${pad(d.getHours())}:${pad(d.getMinutes())}`;
  return d.toDateString() === new Date(now).toDateString()
    ? short
    : `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${short}`;
}

/** Parses 250, 5ms, 1.5s, 2m, 1h (and 5m30s) into milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const t = text.trim();
  if (t === '') return undefined;
  if (/^\d+(\.\d+)?$/.test(t)) return Number(t);
  const unit: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(t)) return undefined;
  let sum = 0;
  for (const m of t.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) sum += Number(m[1]) * (unit[m[2] ?? ''] ?? 0);
  return sum;
}
