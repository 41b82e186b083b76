import { effect, signal } from '@preact/signals';
import { fetchGraph } from '../api/client';
import { openStream, type StreamState } from '../api/stream';
import { GraphModel, type Change } from '../model/graph';
import { range } from '../widgets/route';

// The one graph of the page: fed by the stream while live, by one answer for a past range. Pages read it by useGraph(), and
// are rendered again with each change; the map, which draws by itself, listens to the changes with onGraphChange().

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

const retries = signal(0);

export function retryPast(): void {
  retries.value++;
}

/** Follows the address between live and past; call once. */
export function followGraph(): void {
  let key = '';
  let stop: (() => void) | undefined;
  effect(() => {
    const r = range.value;
    const next = `${r === undefined ? 'live' : `${r.from}-${r.to}`}#${retries.value}`;
    if (next === key) return;
    key = next;
    stop?.();
    loaded.value = false;
    pastError.value = undefined;
    if (r === undefined) {
      stop = openStream({
        snapshot: (g) => {
          const c = graph.reset(g);
          loaded.value = true;
          announce(c);
        },
        delta: (d) => {
          const c = graph.apply(d);
          if (c !== undefined) announce(c);
        },
        state: (s) => {
          connection.value = s;
        },
      });
      return;
    }
    const abort = new AbortController();
    stop = () => abort.abort();
    fetchGraph(r, abort.signal).then(
      (g) => {
        const c = graph.reset(g);
        loaded.value = true;
        announce(c);
      },
      (e: unknown) => {
        if (!abort.signal.aborted) pastError.value = e instanceof Error ? e.message : String(e);
      },
    );
  });
}
