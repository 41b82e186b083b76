import { expect, test } from 'vitest';
import { graphAt } from '../../test/fixture/mesh';
import { bigTrace, makeTrace } from '../../test/fixture/traces';
import { list, num, object, text, word } from './check';
import * as shapes from './shapes';
import { backoff } from './stream';

test('a wrong shape says where and what', () => {
  const check = object({ rules: list(object({ id: text, limit: num })) });
  expect(() =>
    check(
      {
        rules: [
          { id: 'a', limit: 1 },
          { id: 'b', limit: '2' },
        ],
      },
      '',
    ),
  ).toThrow('rules[1].limit should be a number, but is string');
  expect(() => check(null, '')).toThrow('the answer should be an object, but is null');
});

test('null lists are empty, as Go writes a nil slice; unknown words are taken for what they may be', () => {
  expect(list(text)(null, 'x')).toEqual([]);
  expect(word(['http', 'unknown'], 'unknown')('quic', 'x')).toBe('unknown');
});

test('what the contract lets be absent has a default', () => {
  const g = shapes.graph(
    {
      time: 1,
      nodes: [{ id: 'a', name: 'a', windows: { '10s': { rate: 2 } } }],
      edges: [{ id: 'e', source: 'a', target: 'b' }],
    },
    '',
  );
  expect(g.nodes[0]).toMatchObject({
    kind: 'service',
    health: 'idle',
    versions: [],
    windows: { '10s': { rate: 2, error_rate: 0, p99: undefined } },
  });
  expect(g.edges[0]).toMatchObject({
    protocol: 'unknown',
    mtls: -1,
    throttled_by: [],
    exemplars: [],
    totals: { requests: 0 },
  });
});

test('an older server tells of no followers and names no ports', () => {
  const s = shapes.status({ ports: [{ address: '127.0.0.1:9091', speaks: 'mesh' }], log: { bytes: 1 } }, '');
  expect(s.log).toEqual({ bytes: 1, followers: [] });
  expect(s.ports[0]?.name).toBe('');
  expect(shapes.status({}, '').log.followers).toEqual([]);
});

test('the fixtures pass the checks that the real server must pass', () => {
  const through = (v: unknown): unknown => JSON.parse(JSON.stringify(v)) as unknown;
  expect(shapes.graph(through(graphAt(60_000, 'lively', 1)), '').nodes.length).toBeGreaterThan(18);
  expect(shapes.trace(through(makeTrace(3, 0)), '').spans.length).toBeGreaterThan(5);
  expect(shapes.trace(through(bigTrace(0)), '').spans.length).toBe(10_000);
});

test('waits grow, are capped, and are spread', () => {
  expect([1, 2, 3, 9].map((n) => backoff(n, 0))).toEqual([500, 1000, 2000, 8000]);
  expect(backoff(9, 1)).toBe(9600);
});
