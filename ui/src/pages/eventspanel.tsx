import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { MeshEvent } from '../api/timetypes';
import { clock, when } from '../base/format';
import { eventWords, toneOfEvent } from '../model/events';
import { param, patch, range } from '../widgets/route';
import { happenings } from './timestrip';
import { Evidence, Where } from './where';

// What happened to the mesh in the time that the strip at the foot shows, the newest first.

/** So much time around an event is looked at by who goes there. */
const AROUND_MS = 60_000;

export function EventsPanel(): JSX.Element {
  const { events, found, error, knownSince, from } = happenings.value;
  if (error !== undefined)
    return (
      <p class="inline-error" role="alert">
        {error}
      </p>
    );
  return (
    <>
      <p class="dim side-none">
        {events.length === 0
          ? 'Nothing happened'
          : found > events.length
            ? `The last ${events.length} of ${found}`
            : `${events.length} events`}{' '}
        since {when(from, Date.now())}.
        {knownSince > from ? ` Events are known since ${when(knownSince, Date.now())}.` : ''}
      </p>
      <ol class="cards events">
        {events.map((e) => (
          <li key={e.id}>
            <Entry e={e} chosen={param('event') === e.id} />
          </li>
        ))}
      </ol>
    </>
  );
}

function Entry(p: { e: MeshEvent; chosen: boolean }): JSX.Element {
  const { e } = p;
  const host = useRef<HTMLElement>(null);
  useEffect(() => {
    if (p.chosen) host.current?.scrollIntoView({ block: 'nearest' });
  }, [p.chosen]);
  return (
    <article ref={host} class={`card event event-${toneOfEvent(e)} ${p.chosen ? 'chosen' : ''}`}>
      <p class="card-over">
        <i class="event-mark" aria-hidden="true" /> {eventWords(e)}
        <time dateTime={new Date(e.time).toISOString()}>{clock(e.time)}</time>
      </p>
      <p class="card-says">{e.says}</p>
      <Where nodes={e.nodes.length > 0 || e.service === '' ? e.nodes : [e.service]} edges={e.edges} />
      <Evidence list={e.evidence} trace={e.trace_id} />
      {range.value === undefined || e.time < range.value.from || e.time > range.value.to ? (
        <button
          type="button"
          class="linkish then"
          onClick={() => {
            const to = Math.min(Date.now() - 1000, e.time + AROUND_MS / 2);
            patch({ from: String(to - AROUND_MS), to: String(to), event: e.id }, false);
          }}
        >
          Show that time
        </button>
      ) : null}
    </article>
  );
}
