// Runtime checks at the boundary. The server is ours, but it may be of another version, and a proxy between may
// answer in its own words; a wrong shape must become one clear sentence here, not a crash in a painter.
//
// A Check takes what JSON gave and a path for the message. Fields that the contract lets be absent have a default,
// so that a newer field missing from an older server does not blank the page.

export class ShapeError extends Error {
  constructor(path: string, wanted: string, got: unknown) {
    super(`${path === '' ? 'the answer' : path} should be ${wanted}, but is ${got === null ? 'null' : typeof got}`);
    this.name = 'ShapeError';
  }
}

export type Check<T> = (value: unknown, path: string) => T;

export const text: Check<string> = (v, p) => {
  if (typeof v !== 'string') throw new ShapeError(p, 'a string', v);
  return v;
};

export const num: Check<number> = (v, p) => {
  if (typeof v !== 'number') throw new ShapeError(p, 'a number', v);
  return v;
};

export const flag: Check<boolean> = (v, p) => {
  if (typeof v !== 'boolean') throw new ShapeError(p, 'true or false', v);
  return v;
};

/** A value that may be absent or null, with what then stands for it. */
export function or<T, D>(check: Check<T>, absent: D): Check<T | D> {
  return (v, p) => (v === undefined || v === null ? absent : check(v, p));
}

/** One of a few words; a word from a newer server becomes `unknown`. */
export function word<T extends string>(known: readonly T[], unknown: T): Check<T> {
  return (v, p) => {
    const s = text(v, p);
    return known.find((k) => k === s) ?? unknown;
  };
}

/** A list; null counts as empty, since that is how Go writes a nil slice. */
export function list<T>(item: Check<T>): Check<T[]> {
  return (v, p) => {
    if (v === undefined || v === null) return [];
    if (!Array.isArray(v)) throw new ShapeError(p, 'a list', v);
    return v.map((e: unknown, i) => item(e, `${p}[${i}]`));
  };
}

export function record<T>(item: Check<T>): Check<Record<string, T>> {
  return (v, p) => {
    if (v === undefined || v === null) return {};
    if (typeof v !== 'object' || Array.isArray(v)) throw new ShapeError(p, 'an object', v);
    const out: Record<string, T> = {};
    for (const [k, e] of Object.entries(v)) out[k] = item(e, `${p}.${k}`);
    return out;
  };
}

export function object<T extends object>(fields: { [K in keyof T]-?: Check<T[K]> }): Check<T> {
  const entries = Object.entries<Check<unknown>>(fields);
  return (v, p) => {
    if (typeof v !== 'object' || v === null || Array.isArray(v)) throw new ShapeError(p, 'an object', v);
    const source = v as Record<string, unknown>;
    const out: Record<string, unknown> = {};
    for (const [k, check] of entries) out[k] = check(source[k], p === '' ? k : `${p}.${k}`);
    return out as T;
  };
}
