import type { MeshEvent } from '../api/timetypes';
import type { Trouble } from './trouble';

// What happened to the mesh, as the strip of time and the list of events show it.

export type EventTone = Trouble | 'well' | 'structure';

/** The colour of an event: the trouble's where somebody became ill, the well one's where he is well again. */
export function toneOfEvent(e: MeshEvent): EventTone {
  if (e.kind !== 'culprit' && e.kind !== 'health') return 'structure';
  return e.ailment === '' ? 'well' : e.ailment;
}

/** A kind in a word or two. */
export function eventWords(e: MeshEvent): string {
  if (e.kind === 'culprit' || e.kind === 'health')
    return e.ailment === '' ? 'well again' : e.kind === 'culprit' ? 'to blame' : 'suffers';
  return WORDS[e.kind];
}

const WORDS: Readonly<Record<Exclude<MeshEvent['kind'], 'culprit' | 'health'>, string>> = {
  dependency: 'new dependency',
  vanished: 'vanished',
  outside: 'first call outside',
  version: 'version',
  cycle: 'cycle',
  finding: 'finding',
  other: 'event',
};

/** Both lists without what is in both, the newest first, at most `most`. */
export function merged(a: readonly MeshEvent[], b: readonly MeshEvent[], most: number): MeshEvent[] {
  const all = new Map([...a, ...b].map((e) => [e.id, e]));
  return [...all.values()].sort((x, y) => y.time - x.time || (x.id < y.id ? -1 : 1)).slice(0, most);
}

/** Events that stand so near one another on a strip that they are one mark; the loudest gives its colour. */
export interface EventMark {
  time: number;
  tone: EventTone;
  events: readonly MeshEvent[];
}

const LOUD: readonly EventTone[] = ['failing', 'slow', 'throttled', 'cut_off', 'structure', 'well'];

/** Marks of events, each at least `apart` ms from the one before. */
export function marksOf(events: readonly MeshEvent[], apart: number): EventMark[] {
  const marks: { time: number; tone: EventTone; events: MeshEvent[] }[] = [];
  for (const e of [...events].sort((a, b) => a.time - b.time)) {
    const tone = toneOfEvent(e);
    const last = marks.at(-1);
    if (last === undefined || e.time - last.time >= apart) marks.push({ time: e.time, tone, events: [e] });
    else {
      last.events.push(e);
      if (LOUD.indexOf(tone) < LOUD.indexOf(last.tone)) last.tone = tone;
    }
  }
  return marks;
}
