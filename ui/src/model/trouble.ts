import type { GraphEdge, GraphNode, Health } from '../api/types';
import { signalsOf, tellingFigure } from './graph';

// In what way something is unwell: the map has a shape and a colour for each way.

export type Trouble = 'slow' | 'failing' | 'throttled' | 'cut_off';

/** The way in which a node or an edge is unwell, by the figure that shows it; undefined where the server says it is well. */
export function troubleOf(of: GraphNode | GraphEdge, window: string): Trouble | undefined {
  const figure = tellingFigure(of.health, signalsOf(of, window));
  return figure === undefined
    ? undefined
    : figure === 'latency'
      ? 'slow'
      : figure === 'throttled'
        ? 'throttled'
        : 'failing';
}

export function isUnwell(h: Health): boolean {
  return h === 'failing' || h === 'degraded';
}
