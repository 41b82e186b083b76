import type { AttributeValue, Span, Trace } from '../api/types';

// A trace as a tree, laid flat.
//
// Problem: 10,000 spans in any order, from clocks that disagree, with parents that never arrived, ids used twice and,
// from broken senders, cycles. The waterfall needs rows in depth-first order, each subtree collapsible in O(rows).
//
// Invariants: `rows` holds every span exactly once, a parent before its children, siblings by start; the subtree of
// row i is rows i..end[i]-1, so collapsing is a jump, not a walk. Nothing here recurses: a chain of 10,000 spans must
// not exhaust the stack.
//
// Critical path: from the root's end backwards. What ends last before the cursor is what was waited for: the time from
// its end to the cursor belongs to the parent, then the walk goes on inside that child, and after it at the child's
// start. Children that begin after the parent's end were not waited for and are left out.

export interface Interval {
  from: number;
  to: number;
}

export interface TraceTree {
  trace: Trace;
  rows: Span[];
  depth: Uint16Array;
  /** Row of the parent, -1 for a root. */
  parent: Int32Array;
  /** First row after the subtree. */
  end: Int32Array;
  /** 1 where the span names a parent that is not in the trace. */
  orphan: Uint8Array;
  /** Errors in the subtree, the span itself included. */
  errors: Int32Array;
  /** The parts of each row on the critical path, in time order; rows beside the path are absent. */
  critical: Map<number, Interval[]>;
  /** Services in order of their first row. */
  services: string[];
  serviceOf: Int32Array;
  duration: number;
}

export function buildTree(trace: Trace): TraceTree {
  const spans = trace.spans;
  const n = spans.length;
  // Two spans may share an id: in Zipkin's way the client's and the server's half of one call do. Children then belong
  // to the server's half, which did the work, and that half hangs under the client's.
  const byId = new Map<string, number>();
  const clientHalf = new Map<string, number>();
  spans.forEach((s, i) => {
    if (s.kind === 'client') clientHalf.set(s.span_id, i);
    const holder = byId.get(s.span_id);
    if (holder === undefined || (s.kind === 'server' && spans[holder]?.kind === 'client')) byId.set(s.span_id, i);
  });

  const parentOf = new Int32Array(n).fill(-1);
  const lost = new Uint8Array(n);
  spans.forEach((s, i) => {
    const half = s.kind === 'server' ? clientHalf.get(s.span_id) : undefined;
    if (half !== undefined) {
      parentOf[i] = half;
      return;
    }
    if (s.parent_span_id === '') return;
    const p = byId.get(s.parent_span_id);
    if (p === undefined) lost[i] = 1;
    else if (p !== i) parentOf[i] = p;
  });
  breakCycles(parentOf);

  const children: number[][] = Array.from({ length: n }, () => []);
  const roots: number[] = [];
  for (let i = 0; i < n; i++) {
    const p = parentOf[i]!;
    if (p < 0) roots.push(i);
    else children[p]!.push(i);
  }
  const byStart = (a: number, b: number): number =>
    spans[a]!.start - spans[b]!.start || spans[b]!.duration - spans[a]!.duration || a - b;
  roots.sort(byStart);
  for (const c of children) if (c.length > 1) c.sort(byStart);

  const rows: Span[] = [];
  const depth = new Uint16Array(n);
  const parent = new Int32Array(n).fill(-1);
  const end = new Int32Array(n);
  const orphan = new Uint8Array(n);
  const errors = new Int32Array(n);
  const serviceOf = new Int32Array(n);
  const serviceIndex = new Map<string, number>();
  const rowOf = new Int32Array(n);
  const stack = roots.reverse();
  let last = 0;
  while (stack.length > 0) {
    const i = stack.pop()!;
    const s = spans[i]!;
    const row = rows.push(s) - 1;
    rowOf[i] = row;
    const p = parentOf[i]!;
    parent[row] = p < 0 ? -1 : rowOf[p]!;
    depth[row] = p < 0 ? 0 : Math.min(65535, depth[rowOf[p]!]! + 1);
    orphan[row] = lost[i]!;
    errors[row] = s.status === 'error' ? 1 : 0;
    let service = serviceIndex.get(s.service);
    if (service === undefined) serviceIndex.set(s.service, (service = serviceIndex.size));
    serviceOf[row] = service;
    last = Math.max(last, s.start + s.duration);
    const c = children[i]!;
    for (let k = c.length - 1; k >= 0; k--) stack.push(c[k]!);
  }
  // From the last row up: by the time a row is met, all of its subtree has been added up into it.
  for (let row = n - 1; row >= 0; row--) {
    end[row] = Math.max(end[row]!, row + 1);
    const p = parent[row]!;
    if (p >= 0) {
      end[p] = Math.max(end[p]!, end[row]!);
      errors[p] = errors[p]! + errors[row]!;
    }
  }
  const tree: TraceTree = {
    trace,
    rows,
    depth,
    parent,
    end,
    orphan,
    errors,
    serviceOf,
    critical: new Map(),
    services: [...serviceIndex.keys()],
    duration: Math.max(last, trace.duration, 1e-6),
  };
  tree.critical = criticalPath(tree);
  return tree;
}

/** Cuts each cycle at one link, so that every span is reachable from a root. */
function breakCycles(parentOf: Int32Array): void {
  const state = new Uint8Array(parentOf.length);
  for (let i = 0; i < parentOf.length; i++) {
    const path: number[] = [];
    let at = i;
    while (at >= 0 && state[at] === 0) {
      state[at] = 1;
      path.push(at);
      at = parentOf[at]!;
    }
    if (at >= 0 && state[at] === 1) parentOf[at] = -1;
    for (const p of path) state[p] = 2;
  }
}

function criticalPath(t: TraceTree): Map<number, Interval[]> {
  const path = new Map<number, Interval[]>();
  const n = t.rows.length;
  if (n === 0) return path;
  const endOf = (row: number): number => t.rows[row]!.start + t.rows[row]!.duration;
  const kids = childRows(t);
  for (const k of kids) k.sort((a, b) => endOf(b) - endOf(a));
  // The root that the trace is about: the longest one.
  let root = 0;
  for (let row = 0; row < n; row = t.end[row]!) if (t.rows[row]!.duration > t.rows[root]!.duration) root = row;

  interface Visit {
    row: number;
    from: number;
    to: number;
    cursor: number;
    next: number;
  }
  const stack: Visit[] = [{ row: root, from: t.rows[root]!.start, to: endOf(root), cursor: endOf(root), next: 0 }];
  const own = (row: number, from: number, to: number): void => {
    if (to <= from) return;
    const parts = path.get(row);
    if (parts === undefined) path.set(row, [{ from, to }]);
    else parts.unshift({ from, to });
  };
  while (stack.length > 0) {
    const v = stack[stack.length - 1]!;
    const mine = kids[v.row]!;
    let child = -1;
    while (v.next < mine.length) {
      const c = mine[v.next++]!;
      // A child that ends after the cursor ran beside what was waited for; unless nothing was yet, and it merely
      // outlived its parent, as skewed clocks make it seem.
      if (t.rows[c]!.start < v.cursor && endOf(c) > v.from && (endOf(c) <= v.cursor || v.cursor === v.to)) {
        child = c;
        break;
      }
    }
    if (child < 0) {
      own(v.row, v.from, v.cursor);
      stack.pop();
      continue;
    }
    const to = Math.min(endOf(child), v.cursor);
    const from = Math.max(t.rows[child]!.start, v.from);
    own(v.row, to, v.cursor);
    v.cursor = from;
    stack.push({ row: child, from, to, cursor: to, next: 0 });
  }
  return path;
}

function childRows(t: TraceTree): number[][] {
  const kids: number[][] = Array.from({ length: t.rows.length }, () => []);
  t.parent.forEach((p, row) => {
    if (p >= 0) kids[p]!.push(row);
  });
  return kids;
}

/** Rows that show when the given rows are collapsed. */
export function visibleRows(t: TraceTree, collapsed: ReadonlySet<number>): Int32Array {
  const out = new Int32Array(t.rows.length);
  let n = 0;
  for (let row = 0; row < t.rows.length;) {
    out[n++] = row;
    row = collapsed.has(row) ? t.end[row]! : row + 1;
  }
  return out.subarray(0, n);
}

/** Rows whose name, service, id, status message or attributes contain the text, without regard to case. */
export function searchRows(t: TraceTree, text: string): number[] {
  const q = text.trim().toLowerCase();
  if (q === '') return [];
  const has = (v: AttributeValue): boolean => (Array.isArray(v) ? v.some(has) : String(v).toLowerCase().includes(q));
  const found: number[] = [];
  t.rows.forEach((s, row) => {
    if (
      s.name.toLowerCase().includes(q) ||
      s.service.toLowerCase().includes(q) ||
      s.span_id === q ||
      s.status_message.toLowerCase().includes(q) ||
      (q === 'error' && s.status === 'error') ||
      Object.entries(s.attributes).some(
        ([k, v]) => k.toLowerCase().includes(q) || `${k}=${String(v)}`.toLowerCase().includes(q) || has(v),
      )
    ) {
      found.push(row);
    }
  });
  return found;
}

/** Time that is the span's own: its duration less what its children cover. */
export function selfTime(t: TraceTree, row: number): number {
  const s = t.rows[row]!;
  const stop = s.start + s.duration;
  let covered = 0;
  let at = s.start;
  for (let c = row + 1; c < t.end[row]!; c = t.end[c]!) {
    const k = t.rows[c]!;
    const from = Math.max(at, k.start);
    const to = Math.min(stop, k.start + k.duration);
    if (to > from) {
      covered += to - from;
      at = to;
    }
  }
  return Math.max(0, s.duration - covered);
}
