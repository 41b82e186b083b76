import type { Ailment, Health, NodeKind, Protocol, Signals, Unread } from './types';

// What docs/api/http.md says of events and of the comparison of two ranges, as types.

export const EVENT_KINDS = [
  'dependency',
  'vanished',
  'outside',
  'version',
  'cycle',
  'culprit',
  'health',
  'finding',
] as const;

/** Something that happened to the mesh. */
export interface MeshEvent {
  id: string;
  /** Unix ms. */
  time: number;
  /** `other` is one that only a newer server knows. */
  kind: (typeof EVENT_KINDS)[number] | 'other';
  /** The id of the node that it is about. */
  service: string;
  nodes: string[];
  edges: string[];
  /** A sentence. */
  says: string;
  evidence: string[];
  /** A trace that shows it; empty where there is none. */
  trace_id: string;
  /** In what way somebody became ill; empty: well again, or it is of another kind. */
  ailment: Ailment | '';
  health: Health | undefined;
  because: string;
}

export interface Events {
  /** Since when events are known; before, there may have been others. */
  known_since: number;
  found: number;
  events: MeshEvent[];
}

export type ChangeKind = 'added' | 'gone' | 'changed';

/** One figure, or one version, that is not what it was. */
export interface Changed {
  what: 'rate' | 'errors' | 'throttled' | 'p50' | 'p90' | 'p99' | 'version' | 'other';
  /** Shares of errors and of what was throttled, requests a second, or ms. */
  before: number | undefined;
  after: number | undefined;
  ratio: number | undefined;
  version: string;
  /** Of a version: whether it came or went. */
  change: ChangeKind;
  /** How likely chance alone makes such a difference. */
  p: number | undefined;
  certain: boolean;
  says: string;
}

export interface Compared {
  id: string;
  change: ChangeKind;
  /** It is no chance, as far as the requests of both ranges can tell. */
  certain: boolean;
  changes: Changed[];
  /** What it had in the range that is compared with, and in the range itself; absent where it was not there. */
  before: Signals | undefined;
  after: Signals | undefined;
}

export interface NodeDiff extends Compared {
  name: string;
  namespace: string;
  cluster: string;
  kind: NodeKind;
  system: string;
}

export interface EdgeDiff extends Compared {
  source: string;
  target: string;
  protocol: Protocol;
}

export interface GraphDiff {
  from: number;
  to: number;
  against_from: number;
  against_to: number;
  /** How many comparisons were made, and what chance each was allowed so that all together are rarely wrong. */
  tests: number;
  threshold: number;
  found_nodes: number;
  found_edges: number;
  nodes: NodeDiff[];
  edges: EdgeDiff[];
  incomplete: Unread[];
}
