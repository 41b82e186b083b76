import type { ComponentChildren, JSX } from 'preact';
import type { Health } from '../api/types';
import { go, href, type Params } from './route';

// Small parts that the pages share: links, marks of health, buttons, icons, bars.

export function Link(p: {
  to: string;
  params?: Params;
  class?: string;
  title?: string;
  children: ComponentChildren;
  current?: boolean;
}): JSX.Element {
  const url = href(p.to, p.params);
  return (
    <a
      href={url}
      class={p.class}
      title={p.title}
      aria-current={p.current === true ? 'page' : undefined}
      onClick={(e) => {
        if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
        e.preventDefault();
        go(url);
      }}
    >
      {p.children}
    </a>
  );
}

export function HealthMark(p: { health: Health }): JSX.Element {
  return <span class={`mark mark-${p.health}`} role="img" aria-label={p.health} title={p.health} />;
}

export function Button(p: {
  onClick: () => void;
  children: ComponentChildren;
  title?: string;
  pressed?: boolean;
  kind?: 'quiet' | 'primary';
  disabled?: boolean;
}): JSX.Element {
  return (
    <button
      type="button"
      class={`button ${p.kind ?? ''}`}
      title={p.title}
      aria-pressed={p.pressed}
      disabled={p.disabled}
      onClick={p.onClick}
    >
      {p.children}
    </button>
  );
}

export function Segments<T extends string>(p: {
  label: string;
  options: readonly T[];
  value: T;
  set: (v: T) => void;
}): JSX.Element {
  return (
    <div class="segments" role="radiogroup" aria-label={p.label}>
      {p.options.map((o) => (
        <button type="button" key={o} role="radio" aria-checked={o === p.value} onClick={() => p.set(o)}>
          {o}
        </button>
      ))}
    </div>
  );
}

const ICONS = {
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.3 10.3 14 14',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M3 13l1.2-1.2M11.8 4.2 13 3',
  moon: 'M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  fit: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10',
  focus: 'M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5ZM8 1.5v2.3M8 12.2v2.3M1.5 8h2.3M12.2 8h2.3',
  tidy: 'M2.5 4h4M2.5 8h7M2.5 12h4M12 10.5l1.5 1.5 1.5-1.5M13.5 12V4',
  lock: 'M4 7.2h8v6H4zM5.6 7V5.2a2.4 2.4 0 0 1 4.8 0V7',
  arrow: 'M3 8h10M9 4l4 4-4 4',
  history: 'M2.6 8a5.4 5.4 0 1 0 1.6-3.9M2.5 2.4v2.5H5M8 5v3.2l2.2 1.4',
  play: 'M5 3.2v9.6L12.6 8Z',
  pause: 'M5.4 3.5v9M10.6 3.5v9',
  help: 'M6 6.1a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M8 11.6v.1M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8Z',
} as const;
export type IconName = keyof typeof ICONS;

export function Icon(p: { name: IconName }): JSX.Element {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={ICONS[p.name]} />
    </svg>
  );
}

/** A share as a bar: parts in order, the rest empty. */
export function Bar(p: { parts: { share: number; tone: string }[]; label: string; mark?: number }): JSX.Element {
  return (
    <span class="bar" role="img" aria-label={p.label} title={p.label}>
      {p.parts.map((s) =>
        s.share > 0 ? (
          <span
            key={s.tone}
            class={`bar-part tone-${s.tone}`}
            style={{ width: `${Math.max(0.8, Math.min(1, s.share) * 100)}%` }}
          />
        ) : null,
      )}
      {p.mark === undefined ? null : <span class="bar-mark" style={{ left: `${p.mark * 100}%` }} />}
    </span>
  );
}
