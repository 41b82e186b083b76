import { flag, list, num, object, or, text, word, type Check } from './check';
import { health, nodeKind, protocol, signals, unread } from './shapes';
import {
  EVENT_KINDS,
  type Changed,
  type EdgeDiff,
  type Events,
  type GraphDiff,
  type MeshEvent,
  type NodeDiff,
} from './timetypes';
import { AILMENTS, type Signals } from './types';

// The checks of what timetypes.ts has.

const str = or(text, '');
const zero = or(num, 0);
const maybe = or(num, undefined);

const meshEvent = object<MeshEvent>({
  id: text,
  time: num,
  kind: word<MeshEvent['kind']>(EVENT_KINDS, 'other'),
  service: str,
  nodes: list(text),
  edges: list(text),
  says: text,
  evidence: list(text),
  trace_id: str,
  ailment: or(word<MeshEvent['ailment']>(AILMENTS, ''), ''),
  health: or(health, undefined),
  because: str,
});

export const events: Check<Events> = object<Events>({ known_since: zero, found: zero, events: list(meshEvent) });

export const happened: Check<{ events: MeshEvent[] }> = object({ events: list(meshEvent) });

const change = word<Changed['change']>(['added', 'gone', 'changed'], 'changed');

const changed = object<Changed>({
  what: word<Changed['what']>(['rate', 'errors', 'throttled', 'p50', 'p90', 'p99', 'version'], 'other'),
  before: maybe,
  after: maybe,
  ratio: maybe,
  version: str,
  change: or(change, 'changed'),
  p: maybe,
  certain: or(flag, false),
  says: str,
});

/** Of one side of a comparison the page shows its signals alone. */
const side: Check<Signals | undefined> = (v, p) =>
  or(object<{ signals: Signals }>({ signals }), undefined)(v, p)?.signals;

const compared = { id: text, change, certain: or(flag, false), changes: list(changed), before: side, after: side };

export const graphDiff: Check<GraphDiff> = object<GraphDiff>({
  from: num,
  to: num,
  against_from: num,
  against_to: num,
  tests: zero,
  threshold: zero,
  found_nodes: zero,
  found_edges: zero,
  nodes: list(object<NodeDiff>({ ...compared, name: str, namespace: str, cluster: str, kind: nodeKind, system: str })),
  edges: list(object<EdgeDiff>({ ...compared, source: text, target: text, protocol })),
  incomplete: list(unread),
});
