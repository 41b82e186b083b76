import { expect, test } from 'vitest';
import type { GraphNode } from '../api/types';
import { blameOf, troubleOf } from './trouble';

const node = (more: object): GraphNode => ({
  id: 'shop/cart',
  name: 'cart',
  namespace: 'shop',
  cluster: '',
  kind: 'service',
  system: '',
  versions: [],
  health: 'degraded',
  windows: { '10s': { rate: 10, error_rate: 2, throttled_rate: 0, p50: 1, p90: 2, p99: 3 } },
  last_seen: 0,
  ...more,
});

test('the server’s judgement comes before the figures', () => {
  expect(troubleOf(node({}), '10s')).toBe('failing');
  expect(troubleOf(node({ judgement: { kind: 'slow', because: '' } }), '10s')).toBe('slow');
  expect(troubleOf(node({ judgement: { kind: 'of a newer server', because: '' } }), '10s')).toBe('failing');
  expect(troubleOf(node({ health: 'ok' }), '10s')).toBeUndefined();
});

test('blame: itself, another, or nobody says', () => {
  expect(blameOf(node({}))).toEqual({ culprit: false, cause: undefined });
  expect(blameOf(node({ judgement: { kind: 'slow', because: '' } }))).toEqual({ culprit: true, cause: undefined });
  expect(blameOf(node({ judgement: { kind: 'slow', because: 'x' } }))).toEqual({ culprit: false, cause: 'x' });
});
