import type { ComponentChildren, JSX } from 'preact';
import type { Unread } from '../api/types';
import { Button } from './parts';

// What a page shows in place of its content: while it waits, when it failed, and when there is nothing yet.

function CompassRose(p: { kind: 'empty' | 'failed' | 'loading' }): JSX.Element {
  const ticks = Array.from({ length: 32 }, (_, i) => i * 11.25);
  return (
    <svg class={`rose rose-${p.kind}`} viewBox="-60 -60 120 120" width="132" height="132" aria-hidden="true">
      <circle r="56" class="rose-rim" />
      <circle r="42" class="rose-rim thin" />
      {ticks.map((a) => (
        <line
          key={a}
          x1="0"
          y1="-56"
          x2="0"
          y2={a % 45 === 0 ? -46 : a % 22.5 === 0 ? -49 : -52}
          transform={`rotate(${a})`}
          class="rose-tick"
        />
      ))}
      <g class="rose-needle">
        <path d="M0-40 6 0H-6Z" class="north" />
        <path d="M0 40 6 0H-6Z" class="south" />
        <circle r="3" class="pin" />
      </g>
    </svg>
  );
}

export function Loading(p: { what: string }): JSX.Element {
  return (
    <div class="state" role="status">
      <CompassRose kind="loading" />
      <h2>Taking a bearing</h2>
      <p>{p.what}</p>
    </div>
  );
}

export function Failure(p: { title: string; error: string; retry?: () => void }): JSX.Element {
  return (
    <div class="state" role="alert">
      <CompassRose kind="failed" />
      <h2>{p.title}</h2>
      <p>{p.error}</p>
      {p.retry === undefined ? null : (
        <Button kind="primary" onClick={p.retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Nothing(p: { title: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="state">
      <CompassRose kind="empty" />
      <h2>{p.title}</h2>
      {p.children}
    </div>
  );
}

/** What an answer may lack, because a file could not be read; nothing where it is whole. */
export function Incomplete(p: { of: readonly Unread[]; class?: string }): JSX.Element | null {
  if (p.of.length === 0) return null;
  return (
    <p class={p.class ?? 'notice bad'} role="alert">
      This may be incomplete: {p.of.map((u) => `${u.file} could not be read (${u.reason})`).join('; ')}.
    </p>
  );
}
