import { expect, test } from 'vitest';
import * as shapes from '../api/shapes';
import { estimateSays } from './estimate';

const edge = (estimate: unknown) =>
  shapes.graph({ time: 1, nodes: [], edges: [{ id: 'e', source: 'a', target: 'b', estimate }] }, '').edges[0]?.estimate;

test('an estimate says whose it is, and its error bar', () => {
  const e = edge({
    by: 'server_span',
    requests: 99_870.4,
    within: 6190,
    server_span: { requests: 99_870.4, within: 6190 },
  });
  expect(e).toMatchObject({ client_span: { requests: 0 }, server_span: { within: 6190 } });
  expect(e && estimateSays(e).replace(/\u202f/g, ' ')).toBe(
    'Spans are sampled. There were about 99.9 k ± 6.2 k requests by the callee’s spans, each counted for as many as it stands for.',
  );
});

test('what is exact has no error bar', () => {
  const e = edge({ by: 'client_log', requests: 940, within: 0 });
  expect(e && estimateSays(e)).toBe(
    'Spans are sampled. There were 940 requests by the caller’s proxy log, of which nothing is left out.',
  );
});

test('an edge whose spans are all there has none', () => {
  expect(edge(undefined)).toBeUndefined();
});
