import { expect, test } from 'vitest';
import { bytes, count, duration, parseDuration, percent, rate } from './format';
// The thin space between number and unit is for the eye; tests read easier without.
const plain = (s: string): string => s.replace('\u202f', ' ');

test('durations take the unit that keeps them short', () => {
  expect([0, 0.00042, 0.42, 3.14159, 41.5, 999, 1420, 61_000, 7_200_000].map((v) => duration(v)).map(plain)).toEqual([
    '0 ms',
    '420 ns',
    '420 µs',
    '3.1 ms',
    '41.5 ms',
    '999 ms',
    '1.42 s',
    '1 min',
    '2 h',
  ]);
  expect(duration(undefined)).toBe('–');
});

test('rates and counts', () => {
  expect([0, 0.004, 0.04, 0.5, 9.96, 12.4, 3400].map(rate).map(plain)).toEqual([
    '0/s',
    '<0.01/s',
    '0.04/s',
    '0.5/s',
    '10/s',
    '12/s',
    '3.4 k/s',
  ]);
  expect([0, 940, 1200, 3.4e6].map(count).map(plain)).toEqual(['0', '940', '1.2 k', '3.4 M']);
  expect([0, 0.0004, 0.003, 0.065, 1].map(percent).map(plain)).toEqual(['0 %', '<0.1 %', '0.3 %', '6.5 %', '100 %']);
});

test('sizes', () => {
  expect([0, 940, 1234, 34e6, 5.2e9].map(bytes).map(plain)).toEqual(['0 B', '940 B', '1.2 kB', '34 MB', '5.2 GB']);
});

test('what people type as a duration', () => {
  expect([' 5ms', '1.5s', '2m', '1m30s', '250', '', 'fast', '5 ms'].map(parseDuration)).toEqual([
    5,
    1500,
    120_000,
    90_000,
    250,
    undefined,
    undefined,
    undefined,
  ]);
});
