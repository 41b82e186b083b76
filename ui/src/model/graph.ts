import type { Finding, Graph, GraphDelta, GraphEdge, GraphNode, Health, Signals, Unread } from '../api/types';

// The service graph as the page knows it: the last snapshot with every delta since applied.
//
// Invariant: `version` only grows within one origin; a delta that does not follow is refused, so a late delta of a
// stream that was since replaced cannot bring back what a snapshot has removed.
// Invariant: an edge may name a node that has not arrived (snapshot and delta may cut between the two): it is kept
// and answers `complete() === false` until both ends are there. Painters draw complete edges only.

/** What a change touched. `shape` is true when a node or an edge came or went: only then is there anything to lay out. */
export interface Change {
  shape: boolean;
  newNodes: string[];
}

const NO_SIGNALS: Signals = {
  rate: 0,
  error_rate: 0,
  throttled_rate: 0,
  p50: undefined,
  p90: undefined,
  p99: undefined,
};

export class GraphModel {
  readonly nodes = new Map<string, GraphNode>();
  readonly edges = new Map<string, GraphEdge>();
  version = -1;
  time = 0;
  origin: Graph['origin'] = 'live';
  /** The nodes that are ill by themselves, the worst first. Some may be folded into a group. */
  culprits: readonly string[] = [];
  /** What is noticed of the mesh. */
  findings: readonly Finding[] = [];
  /** What could not be read of a past range. */
  incomplete: readonly Unread[] = [];
  /** What is not in the graph and is shown all the same: what was there in the time that it is compared with. */
  private ghosts: { nodes: readonly GraphNode[]; edges: readonly GraphEdge[] } = { nodes: [], edges: [] };
  private readonly out = new Map<string, Set<string>>();
  private readonly in = new Map<string, Set<string>>();

  /** Replaces everything by a snapshot. Nodes that stay are not reported as new. */
  reset(g: Graph): Change {
    const before = new Set(this.nodes.keys());
    const edgesBefore = new Set(this.edges.keys());
    this.nodes.clear();
    this.edges.clear();
    this.out.clear();
    this.in.clear();
    for (const n of g.nodes) this.nodes.set(n.id, n);
    for (const e of g.edges) this.putEdge(e);
    this.haunt();
    this.version = g.version;
    this.time = g.time;
    this.origin = g.origin;
    this.culprits = g.culprits;
    this.findings = g.findings ?? [];
    this.incomplete = g.incomplete ?? [];
    const newNodes = [...this.nodes.keys()].filter((id) => !before.has(id));
    const sameEdges = edgesBefore.size === this.edges.size && [...this.edges.keys()].every((id) => edgesBefore.has(id));
    return { newNodes, shape: newNodes.length > 0 || before.size !== this.nodes.size || !sameEdges };
  }

  /** Applies a delta; undefined when it is older than what is known. */
  apply(d: GraphDelta): Change | undefined {
    if (d.version <= this.version) return undefined;
    let shape = false;
    const newNodes: string[] = [];
    for (const id of d.removed_edges) shape = this.dropEdge(id) || shape;
    for (const id of d.removed_nodes) shape = this.nodes.delete(id) || shape;
    for (const n of d.nodes) {
      if (!this.nodes.has(n.id)) {
        shape = true;
        newNodes.push(n.id);
      }
      this.nodes.set(n.id, n);
    }
    for (const e of d.edges) {
      if (!this.edges.has(e.id)) shape = true;
      this.putEdge(e);
    }
    this.version = d.version;
    this.time = d.time;
    this.culprits = d.culprits;
    this.findings = d.findings ?? [];
    // What has just gone may be a ghost from now on.
    if (d.removed_nodes.length + d.removed_edges.length > 0) this.haunt();
    return { shape, newNodes };
  }

  /** Shows what was there and is not, instead of what was shown so before. */
  setGhosts(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Change {
    const before = new Set([...this.nodes.keys(), ...this.edges.keys()]);
    for (const e of this.edges.values()) if (e.ghost === true) this.dropEdge(e.id);
    for (const n of this.nodes.values()) if (n.ghost === true) this.nodes.delete(n.id);
    this.ghosts = { nodes, edges };
    this.haunt();
    const now = [...this.nodes.keys(), ...this.edges.keys()];
    return {
      shape: now.length !== before.size || now.some((id) => !before.has(id)),
      newNodes: [...this.nodes.keys()].filter((id) => !before.has(id)),
    };
  }

  private haunt(): void {
    for (const n of this.ghosts.nodes) if (!this.nodes.has(n.id)) this.nodes.set(n.id, n);
    for (const e of this.ghosts.edges) if (!this.edges.has(e.id)) this.putEdge(e);
  }

  complete(e: GraphEdge): boolean {
    return this.nodes.has(e.source) && this.nodes.has(e.target);
  }

  outgoing(id: string): GraphEdge[] {
    return this.collect(this.out.get(id));
  }

  incoming(id: string): GraphEdge[] {
    return this.collect(this.in.get(id));
  }

  /** Ids of the nodes within `hops` of a node in either direction, itself included. */
  neighbourhood(id: string, hops: number): Set<string> {
    const seen = new Set([id]);
    let rim = [id];
    for (let i = 0; i < hops && rim.length > 0; i++) {
      const next: string[] = [];
      for (const at of rim) {
        const around = [...this.outgoing(at).map((e) => e.target), ...this.incoming(at).map((e) => e.source)];
        for (const other of around) {
          if (!seen.has(other)) {
            seen.add(other);
            next.push(other);
          }
        }
      }
      rim = next;
    }
    return seen;
  }

  private collect(ids: Set<string> | undefined): GraphEdge[] {
    const found: GraphEdge[] = [];
    for (const id of ids ?? []) {
      const e = this.edges.get(id);
      if (e !== undefined) found.push(e);
    }
    return found;
  }

  private putEdge(e: GraphEdge): void {
    this.edges.set(e.id, e);
    link(this.out, e.source, e.id);
    link(this.in, e.target, e.id);
  }

  private dropEdge(id: string): boolean {
    const e = this.edges.get(id);
    if (e === undefined) return false;
    this.out.get(e.source)?.delete(id);
    this.in.get(e.target)?.delete(id);
    return this.edges.delete(id);
  }
}

function link(index: Map<string, Set<string>>, key: string, id: string): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([id]));
  else set.add(id);
}

/** The signals of one window; a past range has only the window `range`, whatever was asked. No traffic reads as zeros. */
export function signalsOf(of: { windows: Readonly<Record<string, Signals>> }, window: string): Signals {
  return of.windows[window] ?? of.windows.range ?? NO_SIGNALS;
}

/** Share of a rate that failed, 0 where there is none. */
export function errorShare(s: Signals): number {
  return s.rate > 0 ? Math.min(1, s.error_rate / s.rate) : 0;
}

export function throttledShare(s: Signals): number {
  return s.rate > 0 ? Math.min(1, s.throttled_rate / s.rate) : 0;
}

export type Figure = 'errors' | 'throttled' | 'latency';

/** A smaller share of errors or refusals is not what made a thing unwell. */
const TELLING_SHARE = 0.01;

/**
 * The figure to point at where the server says that something is degraded or failing; undefined where it says that all is
 * well. Whether something is unwell is the server's word alone (`health`): this only picks the number that likely shows it.
 */
export function tellingFigure(health: Health, s: Signals): Figure | undefined {
  if (health !== 'degraded' && health !== 'failing') return undefined;
  const errors = errorShare(s);
  const throttled = throttledShare(s);
  if (Math.max(errors, throttled) <= TELLING_SHARE) return 'latency';
  return errors > TELLING_SHARE || errors >= throttled ? 'errors' : 'throttled';
}
