import type { GraphEdge, GraphNode, Health } from '../api/types';
import { signalsOf, tellingFigure } from './graph';

// In what way something is unwell, and through whom: the map has a shape and a colour for each way, and draws those that are
// unwell because of another quietly.

export type Trouble = 'slow' | 'failing' | 'throttled' | 'cut_off';

/** The server's word on what is unwell, where it gives one. */
interface Judgement {
  kind: string;
  /** The node to blame; empty where it is this one itself. */
  because: string;
}

const TROUBLES: readonly Trouble[] = ['slow', 'failing', 'throttled', 'cut_off'];

/** Absent where all is well, and from a server that does not judge: then the figures say what they can. */
function judgementOf(of: GraphNode | GraphEdge): Judgement | undefined {
  return (of as { judgement?: Judgement | undefined }).judgement;
}

/** The way in which a node or an edge is unwell; undefined where the server says it is well. */
export function troubleOf(of: GraphNode | GraphEdge, window: string): Trouble | undefined {
  const judged = TROUBLES.find((t) => t === judgementOf(of)?.kind);
  if (judged !== undefined) return judged;
  const figure = tellingFigure(of.health, signalsOf(of, window));
  return figure === undefined
    ? undefined
    : figure === 'latency'
      ? 'slow'
      : figure === 'throttled'
        ? 'throttled'
        : 'failing';
}

/** Whom a node is unwell because of: itself (`culprit`), another, or nobody says. */
export function blameOf(n: GraphNode): { culprit: boolean; cause: string | undefined } {
  const because = judgementOf(n)?.because;
  return {
    culprit: because === '' || because === n.id,
    cause: because === '' || because === n.id ? undefined : because,
  };
}

export function isUnwell(h: Health): boolean {
  return h === 'failing' || h === 'degraded';
}
