import { expect, test } from 'vitest';
import type { Follower } from '../api/types';
import { findingNotices, followerNotices, followersInFull, followersInOneLine } from './followers';

const follower = (over: Partial<Follower>): Follower => ({
  name: 'graph',
  policy: 'essential',
  position: 1,
  lag_seconds: 0,
  lag_bytes: 0,
  left_out: { batches: 0, spans: 0, requests: 0 },
  ...over,
});
// The thin space between number and unit is for the eye; tests read easier without.
const plain = (s: string | undefined): string | undefined => s?.replace(/\u202f/g, ' ');

test('while all keep up there is one quiet line and no notice', () => {
  const all = [follower({}), follower({ name: 'store', lag_seconds: 0.24, lag_bytes: 1234 })];
  expect(plain(followersInOneLine(all))).toBe('caught up to 240 ms ago');
  expect(followersInOneLine([follower({})])).toBe('all caught up');
  expect(plain(followersInFull(all))).toBe(
    'graph: 0 ms and 0 B behind the log\nstore: 240 ms and 1.2 kB behind the log',
  );
  expect(followerNotices(all)).toEqual([]);
});

test('a server that tells of no followers is passed over', () => {
  expect(followersInOneLine([])).toBeUndefined();
  expect(followerNotices([])).toEqual([]);
});

test('who lags is told, with how far and what comes of it', () => {
  const [essential, besteffort] = followerNotices([
    follower({ name: 'store', lag_seconds: 12, lag_bytes: 34e6 }),
    follower({ name: 'kafka', policy: 'best_effort', lag_seconds: 5.1, lag_bytes: 900 }),
  ]);
  expect(plain(essential?.text)).toContain('store is 12 s (34 MB) behind the log');
  expect(essential?.text).toContain('senders are told to wait');
  expect(besteffort?.text).toContain('skips forward');
  expect(followerNotices([follower({ lag_seconds: 5 })])).toEqual([]);
});

test('what was left out is told by how much, and again when it is more', () => {
  const left = (batches: number) => [
    follower({ name: 'kafka', policy: 'best_effort', left_out: { batches, spans: 3400, requests: 12 } }),
  ];
  const [first] = followerNotices(left(7));
  expect(plain(first?.text)).toContain('left out 7 batches (3.4 k spans, 12 requests)');
  expect(first?.loss).toBe(true);
  expect(followerNotices(left(8))[0]?.key).not.toBe(first?.key);
});

test('a finding is told with what to do about it, and loss louder than delay', () => {
  const f = {
    kind: 'names_flood',
    subject: 'shop',
    says: 'shop made 900 names',
    remedy: 'Look at its instrumentation',
    severity: 'warning',
  } as const;
  const none = { evidence: [], nodes: [], edges: [] };
  const [told, lost] = findingNotices([
    { ...f, ...none, count: 900, since: 1, loss: false },
    { ...f, ...none, subject: 'wal/7', remedy: '', count: 3, since: 2, loss: true },
  ]);
  expect(told).toEqual({
    key: 'names_flood shop',
    text: 'shop made 900 names. Look at its instrumentation.',
    loss: false,
  });
  expect(lost?.loss).toBe(true);
  expect(lost?.text).toBe('shop made 900 names.');
});
