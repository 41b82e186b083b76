import type { JSX } from 'preact';
import { AILMENTS, type Found, type GraphEdge, type GraphNode } from '../api/types';
import type { GraphModel } from '../model/graph';
import { blameOf, partOfEdge, troubleIn, troubleOf, type Part, type Trouble } from '../model/trouble';
import { HealthMark } from './parts';

// The sign of how something is: each trouble has a shape and a colour of its own, filled for who is to blame; who suffers
// has a ring of dashes.

/** A trouble in words, as in 'inventory is slow'. */
export const TROUBLE_WORDS: Readonly<Record<Trouble, string>> = {
  slow: 'slow',
  failing: 'failing',
  throttled: 'throttled',
  cut_off: 'cut off',
};

/** Outline and inner sign, in a box of 16. */
const SHAPES: Readonly<Record<Trouble, readonly [outline: string, sign: string]>> = {
  slow: ['M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2Z', 'M8 4.2V8l2.6 1.6'],
  failing: ['M8 1 15.2 14.2H.8Z', 'M8 5.6v4M8 11.9v.1'],
  throttled: ['M5.2 1.2h5.6l4 4v5.6l-4 4H5.2l-4-4V5.2Z', 'M4.6 8h6.8'],
  cut_off: ['M8 .6 15.4 8 8 15.4.6 8Z', 'M4.2 8h2.2M9.6 8h2.2M6.4 6.2v3.6M9.6 6.2v3.6'],
};

/** The sign by itself; without a label it only adorns words that say the same. */
export function Sign(p: { part: Part; trouble: Trouble | undefined; label: string }): JSX.Element {
  const trouble = p.trouble ?? 'failing';
  const [outline, sign] = SHAPES[trouble];
  const victim = p.part === 'victim';
  return (
    <svg
      class={`sign sign-${victim ? 'victim' : trouble} ${p.part === 'culprit' ? 'solid' : ''}`}
      viewBox="0 0 16 16"
      width="15"
      height="15"
      {...(p.label === '' ? { 'aria-hidden': 'true' } : { role: 'img', 'aria-label': p.label })}
    >
      {p.label === '' ? null : <title>{p.label}</title>}
      {victim ? (
        <circle cx="8" cy="8" r="5.6" class="sign-outline" stroke-dasharray="3.3 2.56" />
      ) : (
        <>
          <path d={outline} class="sign-outline" />
          <path d={sign} class="sign-inner" />
        </>
      )}
    </svg>
  );
}

/** How a node is: its health where it is well. */
export function NodeMark(p: { n: GraphNode; window: string }): JSX.Element {
  const { part } = blameOf(p.n);
  if (part === 'well') return <HealthMark health={p.n.health} />;
  const trouble = troubleIn(p.n, p.window);
  return <Sign part={part} trouble={trouble} label={stateWords(part, trouble)} />;
}

/** How one that is not on the map is: by what the server judges, else by its health, which says no more than that. */
export function FoundMark(p: { f: Found }): JSX.Element {
  const { part } = blameOf({ ...p.f, group: undefined });
  const kind = AILMENTS.find((t) => t === p.f.judgement?.kind);
  if (part === 'well' || part === 'accused') return <HealthMark health={p.f.health} />;
  return <Sign part={part} trouble={kind} label={stateWords(part, kind)} />;
}

export function EdgeMark(p: { e: GraphEdge; graph: GraphModel; window: string }): JSX.Element {
  const part = partOfEdge(p.e, p.graph);
  if (part === 'well') return <HealthMark health={p.e.health} />;
  const trouble = troubleOf(p.e, p.window);
  return <Sign part={part} trouble={trouble} label={stateWords(part, trouble)} />;
}

/** 'slow by itself', 'failing because of another', 'slow'. */
export function stateWords(part: Part, trouble: Trouble | undefined): string {
  const how = trouble === undefined ? 'unwell' : TROUBLE_WORDS[trouble];
  return part === 'culprit' ? `${how} by itself` : part === 'victim' ? `${how} because of another` : how;
}
