import type { Estimate, Witnesses } from '../api/types';
import { count } from '../base/format';

// Samplers leave spans out. Where they say in which share, the server says how many requests there were, and how sure that is.

const NAMES: Record<keyof Witnesses, string> = {
  client_span: 'the caller’s spans',
  server_span: 'the callee’s spans',
  client_log: 'the caller’s proxy log',
  server_log: 'the callee’s proxy log',
};

/** What an estimate says, in a sentence. */
export function estimateSays(e: Estimate): string {
  const n = count(Math.round(e.requests));
  if (e.within === 0)
    return `Spans are sampled. There were ${n} requests by ${NAMES[e.by]}, of which nothing is left out.`;
  return `Spans are sampled. There were about ${n} ± ${count(Math.round(e.within))} requests by ${NAMES[e.by]}, each counted for as many as it stands for.`;
}
