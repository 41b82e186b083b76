import type { JSX } from 'preact';
import { Icon } from '../widgets/parts';
import { param, patch } from '../widgets/route';
import { DiffPanel } from './diffpanel';
import { EventsPanel } from './eventspanel';
import { FindingsPanel } from './findings';

// What stands beside the map while nothing is selected: what is noticed, what happened, what is not as it was.

export const SIDES = ['findings', 'events', 'diff'] as const;
export type Side = (typeof SIDES)[number];

export function sideOf(): Side | undefined {
  return SIDES.find((s) => s === param('side'));
}

export function SidePanel(p: { side: Side }): JSX.Element {
  return (
    <aside class="panel side" aria-label={TITLES[p.side]}>
      <button
        type="button"
        class="panel-close"
        aria-label="Close"
        title="Close (Esc)"
        onClick={() => patch({ side: undefined, event: undefined })}
      >
        <Icon name="close" />
      </button>
      <header class="panel-head">
        <h2>{TITLES[p.side]}</h2>
      </header>
      {p.side === 'findings' ? <FindingsPanel /> : p.side === 'events' ? <EventsPanel /> : <DiffPanel />}
    </aside>
  );
}

const TITLES: Readonly<Record<Side, string>> = {
  findings: 'Findings',
  events: 'What happened',
  diff: 'What has changed',
};
