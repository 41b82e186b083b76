import { expect, test } from 'vitest';
import type { MeshEvent } from '../api/timetypes';
import { eventWords, marksOf, merged, toneOfEvent } from './events';

const event = (id: string, time: number, more: Partial<MeshEvent> = {}): MeshEvent => ({
  ...{ id, time, kind: 'dependency', service: 'a', nodes: [], edges: [], says: '', evidence: [], trace_id: '' },
  ...{ ailment: '', health: undefined, because: '' },
  ...more,
});

test('events that stand near one another are one mark of the loudest colour', () => {
  const marks = marksOf(
    [
      event('c', 900),
      event('b', 120, { kind: 'culprit', ailment: 'slow' }),
      event('a', 100),
      event('d', 130, { kind: 'culprit' }),
    ],
    50,
  );
  expect(marks.map((m) => [m.time, m.tone, m.events.map((e) => e.id).join('')])).toEqual([
    [100, 'slow', 'abd'],
    [900, 'structure', 'c'],
  ]);
});

test('what was heard twice is told once, the newest first', () => {
  const a = [event('1', 10), event('2', 20)];
  expect(merged(a, [event('2', 20), event('3', 30)], 2).map((e) => e.id)).toEqual(['3', '2']);
});

test('becoming ill has the colour of the trouble, being well again that of the well', () => {
  expect(toneOfEvent(event('1', 1, { kind: 'health', ailment: 'failing' }))).toBe('failing');
  expect(toneOfEvent(event('1', 1, { kind: 'culprit' }))).toBe('well');
  expect(eventWords(event('1', 1, { kind: 'culprit' }))).toBe('well again');
  expect(eventWords(event('1', 1, { kind: 'outside' }))).toBe('first call outside');
});
