import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { fetchEnvoyPart, fetchSdkEnvironment, fetchStatus, type EnvoyPart } from '../api/client';
import { Segments } from './parts';
import { useQuery } from './query';

// What to paste into a sender's configuration so that it reports here. The server writes it, with its own addresses; a
// test gives the same lines to a real Envoy.

const WAYS = ['Envoy, part by part', 'A whole Envoy', 'OpenTelemetry SDK'] as const;

/** Where each part of an Envoy's configuration belongs. */
const PARTS: Record<Exclude<EnvoyPart, 'bootstrap'>, string> = {
  cluster: 'Where spans, access logs and rate limits go: an item of static_resources.clusters',
  tracing: 'Spans: a field of the HTTP connection manager',
  access_log: 'Access logs: another field of it',
  rate_limit: 'Rate limits: an item of its http_filters, before the router',
  rate_limits: 'What is limited: a field of a route',
};

/** All the ways to make something report to this server. */
export function HowToSend(): JSX.Element {
  const [way, setWay] = useState<(typeof WAYS)[number]>(WAYS[0]);
  return (
    <div class="how">
      <p>Paste this into what is to report, and the map draws itself.</p>
      <Segments label="What is to report" options={WAYS} value={way} set={setWay} />
      {way === WAYS[0] ? (
        <EnvoyParts parts={['cluster', 'tracing', 'access_log', 'rate_limit', 'rate_limits']} />
      ) : null}
      {way === WAYS[1] ? <WholeEnvoy /> : null}
      {way === WAYS[2] ? <Pasted title="In the environment of the program" ask={fetchSdkEnvironment} /> : null}
      <Ports />
    </div>
  );
}

/** How a proxy comes to ask this server for rate limits. */
export function HowToLimit(): JSX.Element {
  return (
    <div class="how">
      <p>Then let a proxy ask for them:</p>
      <EnvoyParts parts={['rate_limit', 'rate_limits', 'cluster']} />
    </div>
  );
}

function EnvoyParts(p: { parts: readonly Exclude<EnvoyPart, 'bootstrap'>[] }): JSX.Element {
  return (
    <>
      {p.parts.map((part) => (
        <Pasted key={part} title={PARTS[part]} ask={(s) => fetchEnvoyPart(part, s)} />
      ))}
    </>
  );
}

function WholeEnvoy(): JSX.Element {
  const url = `${location.origin}/api/v1/connect/envoy`;
  return (
    <>
      <Pasted
        title="An Envoy on port 10000 before a service on port 8080"
        ask={() => Promise.resolve(`curl -s '${url}?service=my-service' > envoy.yaml\nenvoy -c envoy.yaml\n`)}
      />
      <Pasted title="What that gives" ask={(s) => fetchEnvoyPart('bootstrap', s)} />
    </>
  );
}

/** A text to paste, under what it is, with a button that copies it. */
function Pasted(p: { title: string; ask: (signal: AbortSignal) => Promise<string> }): JSX.Element {
  const q = useQuery(p.title, p.ask);
  const text = useRef<HTMLPreElement>(null);
  return (
    <section class="pasted">
      <header>
        <h3>{p.title}</h3>
        {q.data === undefined ? null : <Copy text={q.data} from={text} />}
      </header>
      {q.error === undefined ? (
        <pre ref={text}>{q.data ?? 'Asking the server…'}</pre>
      ) : (
        <p class="inline-error" role="alert">
          {q.error.message}{' '}
          <button type="button" onClick={q.retry}>
            Try again
          </button>
        </p>
      )}
    </section>
  );
}

function Copy(p: { text: string; from: { current: HTMLElement | null } }): JSX.Element {
  const [said, setSaid] = useState('');
  useEffect(() => {
    if (said === '') return;
    const t = setTimeout(() => setSaid(''), 2000);
    return () => clearTimeout(t);
  }, [said]);
  const copy = (): void => {
    copyText(p.text).then(
      () => setSaid('Copied'),
      () => {
        if (p.from.current !== null) getSelection()?.selectAllChildren(p.from.current);
        setSaid('Selected: copy with Ctrl C');
      },
    );
  };
  return (
    <button type="button" class="button" onClick={copy}>
      {said === '' ? 'Copy' : said}
    </button>
  );
}

/** Rejects where the browser lets a page not copy, as it does for pages that are not on this machine and come without TLS. */
async function copyText(text: string): Promise<void> {
  // The type says that it is always there; it is not.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard === undefined) throw new Error('this browser does not let this page copy');
  await clipboard.writeText(text);
}

function Ports(): JSX.Element | null {
  const q = useQuery('ports', async (s) => (await fetchStatus(s)).ports);
  if (q.data === undefined || q.data.length === 0) return null;
  return (
    <section class="pasted">
      <h3>Where this server listens</h3>
      <dl class="ports">
        {q.data.map((port) => (
          <div key={port.address}>
            <dt>
              <code>{port.address}</code>
            </dt>
            <dd>{port.speaks}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
