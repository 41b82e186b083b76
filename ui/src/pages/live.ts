import { effect, signal } from '@preact/signals';
import { fetchGraph } from '../api/client';
import { openStream, viewportQuery, type StreamState } from '../api/stream';
import type { MeshEvent } from '../api/timetypes';
import type { Graph, GraphEdge, GraphNode } from '../api/types';
import { GraphModel, type Change } from '../model/graph';
import { mapWindow, param, range } from '../widgets/route';

// The one graph of the page: fed by the stream while live, by one answer for a past range. Pages read it by useGraph(), and
// are rendered again with each change; the map, which draws by itself, listens to the changes with onGraphChange().

/** How the id of a group begins. */
export const GROUP = 'group:';

export const graph = new GraphModel();
/** Holds the graph in a new wrapper after each change, by which signals notice it. */
const current = signal({ graph });
export const connection = signal<StreamState>({ kind: 'connecting' });
/** Why a past range could not be had. */
export const pastError = signal<string | undefined>(undefined);
/** True once there was any answer for what is looked at. */
export const loaded = signal(false);

/**
 * The graph, for a component, a computed signal or an effect that reads it: each runs again when the graph changes. Code
 * that runs on an event reads `graph`.
 */
/** What has happened while the page was open, the newest last. */
export const recent = signal<readonly MeshEvent[]>([]);
const MOST_RECENT = 500;
/** A past range is asked for, and what is shown is still of another time. */
export const reading = signal(false);

export function useGraph(): GraphModel {
  return current.value.graph;
}

type Listener = (c: Change) => void;
const listeners = new Set<Listener>();

export function onGraphChange(f: Listener): () => void {
  listeners.add(f);
  return () => listeners.delete(f);
}

function announce(c: Change): void {
  current.value = { graph };
  for (const f of listeners) f(c);
}

/** Shows nodes and edges that are not in the graph, instead of those that were shown so before. */
export function haunt(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): void {
  announce(graph.setGhosts(nodes, edges));
}

const retries = signal(0);

export function retryPast(): void {
  retries.value++;
}

/** The groups whose members the map shows, and whether the graph is so large that there are groups. */
export const opened = signal<readonly string[]>([]);
const folds = signal(false);

/** Follows the address between live and past, and the map's viewport; call once. */
export function followGraph(): void {
  let time = '';
  let asked = '';
  let stop: (() => void) | undefined;
  effect(() => {
    const r = range.value;
    const nextTime = `${r === undefined ? 'live' : `${r.from}-${r.to}`}#${retries.value}`;
    const node = param('node');
    const view = viewportQuery({
      open: opened.value,
      show: node?.startsWith(GROUP) === true ? undefined : node,
      window: mapWindow.value,
    });
    const sameTime = nextTime === time;
    // A small graph is sent whole: what of it is looked at makes no difference.
    if (sameTime && (!folds.value || view.toString() === asked)) return;
    time = nextTime;
    asked = view.toString();
    stop?.();
    // From one past range to the next the picture stays until the other is there: so play does not flicker.
    if (!sameTime && (r === undefined || graph.origin === 'live')) loaded.value = false;
    reading.value = r !== undefined;
    pastError.value = undefined;
    const take = (g: Graph): void => {
      reading.value = false;
      const c = graph.reset(g);
      folds.value = g.nodes.some((n) => n.group !== undefined);
      loaded.value = true;
      announce(c);
    };
    if (r === undefined) {
      stop = openStream(view, {
        snapshot: take,
        delta: (d) => {
          const c = graph.apply(d);
          if (c !== undefined) announce(c);
        },
        happened: (events) => {
          recent.value = [...recent.peek(), ...events].slice(-MOST_RECENT);
        },
        state: (s) => {
          // To look elsewhere is not to lose the connection.
          if (s.kind !== 'connecting' || !loaded.value) connection.value = s;
        },
      });
      return;
    }
    const abort = new AbortController();
    stop = () => abort.abort();
    fetchGraph(r, view, abort.signal).then(take, (e: unknown) => {
      if (abort.signal.aborted) return;
      reading.value = false;
      pastError.value = e instanceof Error ? e.message : String(e);
    });
  });
}
