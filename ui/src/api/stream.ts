import { ShapeError } from './check';
import * as shapes from './shapes';
import { happened } from './timeshapes';
import type { MeshEvent } from './timetypes';
import type { Graph, GraphDelta } from './types';

// The live graph. EventSource reconnects by itself after a broken connection but gives up for good after an HTTP
// error or a wrong content type, and says nothing of either; so the reconnecting is ours: each failure closes the
// source and tries again after a growing, jittered wait, and the state is told in words the page can draw.

export type StreamState =
  | { kind: 'connecting' }
  | { kind: 'open' }
  | { kind: 'waiting'; attempt: number; retryAt: number }
  | { kind: 'broken'; reason: string };

export interface StreamHandlers {
  snapshot: (g: Graph) => void;
  delta: (d: GraphDelta) => void;
  state: (s: StreamState) => void;
  /** Something has just happened to the mesh. */
  happened: (events: MeshEvent[]) => void;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;
/** The server sends a comment each 15 s, but EventSource hides comments; a snapshot must come within this time. */
const SNAPSHOT_TIMEOUT = 10_000;

/** How long to wait before attempt n (from 1): doubling, capped, and spread by up to a fifth so that many pages do not return at once. */
export function backoff(attempt: number, spread: number): number {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * (1 + spread * 0.2);
}

/** What part of a large graph a page shows; a small graph is sent whole whatever is asked. */
export interface Viewport {
  /** Groups whose members are shown. */
  open: readonly string[];
  /** A node that must be among what is shown, whatever is folded. */
  show: string | undefined;
  window: string;
}

export function viewportQuery(v: Viewport): URLSearchParams {
  const q = new URLSearchParams({ fold: 'auto', window: v.window });
  for (const id of v.open) q.append('open', id);
  if (v.show !== undefined) q.set('show', v.show);
  return q;
}

/** Opens the stream and keeps it open; call the result to close it for good. */
export function openStream(view: URLSearchParams, handlers: StreamHandlers): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let closed = false;

  const stop = (): void => {
    source?.close();
    source = undefined;
    clearTimeout(timer);
  };

  const fail = (): void => {
    stop();
    if (closed) return;
    attempt++;
    const wait = backoff(attempt, Math.random());
    handlers.state({ kind: 'waiting', attempt, retryAt: Date.now() + wait });
    timer = setTimeout(connect, wait);
  };

  // A message that does not parse will not parse after a reconnect either: say so and stop, instead of looping.
  const receive = <T>(data: unknown, check: (v: unknown, path: string) => T, use: (v: T) => void): void => {
    try {
      use(check(JSON.parse(String(data)), ''));
    } catch (e) {
      if (!(e instanceof ShapeError) && !(e instanceof SyntaxError)) throw e;
      stop();
      handlers.state({
        kind: 'broken',
        reason: `The live stream sent something this page does not understand: ${e.message}.`,
      });
    }
  };

  function connect(): void {
    handlers.state(attempt === 0 ? { kind: 'connecting' } : { kind: 'waiting', attempt, retryAt: Date.now() });
    const s = new EventSource(`/api/v1/graph/stream?${view.toString()}`);
    source = s;
    timer = setTimeout(fail, SNAPSHOT_TIMEOUT);
    s.addEventListener('snapshot', (e) => {
      clearTimeout(timer);
      receive(e.data, shapes.graph, (g) => {
        attempt = 0;
        handlers.state({ kind: 'open' });
        handlers.snapshot(g);
      });
    });
    s.addEventListener('delta', (e) => receive(e.data, shapes.graphDelta, handlers.delta));
    s.addEventListener('events', (e) => receive(e.data, happened, (h) => handlers.happened(h.events)));
    s.onerror = fail;
  }

  const wake = (): void => {
    if (attempt > 0 && !closed) {
      stop();
      connect();
    }
  };
  addEventListener('online', wake);
  connect();
  return () => {
    closed = true;
    removeEventListener('online', wake);
    stop();
  };
}
