import type { Finding, Follower } from '../api/types';
import { bytes, count, duration } from '../base/format';

// What the page says of those that follow the log: nothing much while they keep up, and clearly when one does not.

/** A follower further behind than this is worth a notice: what its pages show is that old. */
const NOTICE_SECONDS = 5;

/** One quiet line for all, or undefined where the server tells of none. */
export function followersInOneLine(followers: readonly Follower[]): string | undefined {
  if (followers.length === 0) return undefined;
  const worst = Math.max(...followers.map((f) => f.lag_seconds));
  return worst < 0.1 ? 'all caught up' : `caught up to ${duration(worst * 1000)} ago`;
}

/** Each follower's lag, for who asks. */
export function followersInFull(followers: readonly Follower[]): string {
  return followers
    .map((f) => `${f.name}: ${duration(f.lag_seconds * 1000)} and ${bytes(f.lag_bytes)} behind the log`)
    .join('\n');
}

export interface Notice {
  /** Changes when there is something new to say: who dismissed it is told again then. */
  key: string;
  text: string;
  /** Something was lost to a follower, not only late. */
  loss: boolean;
}

/** What the batches held, where the server knows it. */
function held(spans: number, requests: number): string {
  return spans + requests === 0 ? '' : ` (${count(spans)} spans, ${count(requests)} requests)`;
}

/** What must be told: who lags, and who left something out. */
export function followerNotices(followers: readonly Follower[]): Notice[] {
  return followers.flatMap((f) => {
    const notices: Notice[] = [];
    if (f.lag_seconds > NOTICE_SECONDS) {
      const then =
        f.policy === 'essential'
          ? 'The log is kept for it; when the log is full, senders are told to wait.'
          : 'If it falls further behind, it skips forward and leaves out what is between.';
      notices.push({
        key: `${f.name} lags`,
        text: `${f.name} is ${duration(f.lag_seconds * 1000)} (${bytes(f.lag_bytes)}) behind the log. ${then}`,
        loss: false,
      });
    }
    const { batches, spans, requests } = f.left_out;
    if (batches + spans + requests > 0) {
      notices.push({
        key: `${f.name} left out ${batches}`,
        text:
          f.policy === 'essential'
            ? `${f.name} goes on without ${count(batches)} batches that the log has lost.`
            : `${f.name} fell too far behind, and left out ${count(batches)} batches` +
              `${held(spans, requests)} since the server started.`,
        loss: true,
      });
    }
    return notices;
  });
}

/** What the server noticed of its own accord, with what to do about it. */
export function findingNotices(findings: readonly Finding[]): Notice[] {
  return findings.map((f) => ({
    key: `${f.kind} ${f.subject}`,
    text: [f.says, f.remedy]
      .filter((t) => t !== '')
      .map(ended)
      .join(' '),
    loss: f.loss,
  }));
}

/** Ends with a full stop. It may begin small: with a service's name. */
function ended(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
