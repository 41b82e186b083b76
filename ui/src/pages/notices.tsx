import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { fetchStatus } from '../api/client';
import type { Status } from '../api/types';
import { findingNotices, followerNotices, followersInFull, followersInOneLine } from '../model/followers';
import { Icon } from '../widgets/parts';
import { useQuery } from '../widgets/query';

// What the server says of itself, on every page: a quiet word in the bar while all that follows the log keeps up, a
// notice under it when something does not.

/** The last that the server said; a signal, so that an answer renders what shows it and not the whole page. */
const status = signal<Status | undefined>(undefined);

/** The quiet word. */
export function KeepingUp(): JSX.Element | null {
  const followers = status.value?.log.followers ?? [];
  const line = followersInOneLine(followers);
  if (line === undefined || followerNotices(followers).some((n) => !n.loss)) return null;
  return (
    <span class="keeping-up" title={followersInFull(followers)}>
      {line}
    </span>
  );
}

/** The notices, each until it is dismissed or no longer true. Asks the server again and again while it is shown. */
export function Notices(): JSX.Element {
  const { data } = useQuery('status', (s) => fetchStatus(s), 5000);
  useEffect(() => {
    status.value = data;
  }, [data]);
  const [dismissed, setDismissed] = useState<readonly string[]>([]);
  const notices = [...findingNotices(data?.findings ?? []), ...followerNotices(data?.log.followers ?? [])].filter(
    (n) => !dismissed.includes(n.key),
  );
  return (
    <div class="notices">
      {notices.map((n) => (
        <p key={n.key} class={n.loss ? 'notice bad' : 'notice'} role={n.loss ? 'alert' : 'status'}>
          <span>{n.text}</span>
          <button
            type="button"
            class="icon-button"
            aria-label="Dismiss"
            title="Dismiss"
            onClick={() => setDismissed([...dismissed, n.key])}
          >
            <Icon name="close" />
          </button>
        </p>
      ))}
    </div>
  );
}
