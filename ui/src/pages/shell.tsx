import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { when } from '../base/format';
import { useKeys } from '../widgets/keys';
import { Icon, Link } from '../widgets/parts';
import { go, href, patch, range, route } from '../widgets/route';
import { theme, toggleTheme } from '../widgets/theme';
import { Verdict } from './judged';
import { connection } from './live';
import { MapPage } from './map';
import { Search } from './search';
import { KeepingUp, Notices } from './notices';
import { QuotasPage } from './quotas';
import { ServicePage } from './service';
import { TracePage } from './trace';
import { TracesPage } from './traces';
import { Nothing } from '../widgets/states';

const PAGES = [
  { path: '/', name: 'Map', key: 'm' },
  { path: '/service', name: 'Services', key: 's' },
  { path: '/traces', name: 'Traces', key: 't' },
  { path: '/quotas', name: 'Quotas', key: 'q' },
] as const;

export function App(): JSX.Element {
  const [search, setSearch] = useState(false);
  const [help, setHelp] = useState(false);
  const awaiting = useRef(0);
  useKeys({
    '/': () => setSearch(true),
    '?': () => setHelp(true),
    d: () => toggleTheme(),
    l: () => patch({ from: undefined, to: undefined }, false),
    g: () => {
      awaiting.current = performance.now();
    },
    ...Object.fromEntries(
      PAGES.map((p) => [
        p.key,
        () => {
          if (performance.now() - awaiting.current < 1200) go(href(p.path));
          awaiting.current = 0;
        },
      ]),
    ),
  });
  const path = route.value.path;
  useEffect(() => {
    document.title = `${path.startsWith('/trace/') ? 'Trace' : (PAGES.find((p) => p.path === path)?.name ?? 'Binnacle')} · Binnacle`;
  }, [path]);
  return (
    <>
      <header class="top">
        <Link to="/" class="brand" title="Binnacle">
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <circle cx="16" cy="16" r="14.5" class="brand-case" />
            <path d="M16 4.5 19 16h-6z" class="brand-north" />
            <path d="M16 27.5 13 16h6z" class="brand-south" />
          </svg>
          <span>Binnacle</span>
        </Link>
        <nav aria-label="Pages">
          {PAGES.map((p) => (
            <Link
              key={p.path}
              to={p.path}
              current={path === p.path || (p.path === '/traces' && path.startsWith('/trace/'))}
              title={`g then ${p.key}`}
            >
              {p.name}
            </Link>
          ))}
        </nav>
        <Verdict />
        <button type="button" class="search-open" onClick={() => setSearch(true)} title="Search (/)">
          <Icon name="search" /> <span>Find a service</span> <kbd>/</kbd>
        </button>
        <KeepingUp />
        <Connection />
        <button
          type="button"
          class="icon-button keyboard"
          onClick={() => setHelp(true)}
          aria-label="Keyboard help"
          title="Keyboard (?)"
        >
          <Icon name="help" />
        </button>
        <button
          type="button"
          class="icon-button"
          onClick={toggleTheme}
          aria-label={theme.value === 'dark' ? 'Light theme' : 'Dark theme'}
          title={theme.value === 'dark' ? 'Light theme (d)' : 'Dark theme (d)'}
        >
          <Icon name={theme.value === 'dark' ? 'sun' : 'moon'} />
        </button>
      </header>
      <Notices />
      <main>
        <Page path={path} />
      </main>
      {search ? <Search close={() => setSearch(false)} /> : null}
      {help ? <Help close={() => setHelp(false)} /> : null}
    </>
  );
}

function Page(p: { path: string }): JSX.Element {
  if (p.path === '/' || p.path === '/map') return <MapPage />;
  if (p.path === '/service') return <ServicePage />;
  if (p.path === '/traces') return <TracesPage />;
  if (p.path === '/quotas') return <QuotasPage />;
  const trace = /^\/trace\/([^/]+)$/.exec(p.path)?.[1];
  if (trace !== undefined) return <TracePage key={trace} id={decodeURIComponent(trace)} />;
  return (
    <div class="page">
      <Nothing title="Off the chart">
        <p>There is no page at {p.path}.</p>
        <p>
          <Link to="/" class="button primary">
            To the map
          </Link>
        </p>
      </Nothing>
    </div>
  );
}

function Connection(): JSX.Element {
  const c = connection.value;
  const r = range.value;
  const [, tick] = useState(0);
  useEffect(() => {
    if (c.kind !== 'waiting') return;
    const t = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(t);
  }, [c.kind]);
  if (r !== undefined) {
    return (
      <button
        type="button"
        class="conn past"
        onClick={() => patch({ from: undefined, to: undefined }, false)}
        title="Back to live (l)"
      >
        <Icon name="history" /> {when(r.from, Date.now())} – {when(r.to, Date.now())}
      </button>
    );
  }
  if (c.kind === 'open')
    return (
      <span class="conn open" title="Connected: what is shown is what is">
        <i /> Live
      </span>
    );
  if (c.kind === 'connecting')
    return (
      <span class="conn">
        <i /> Connecting
      </span>
    );
  if (c.kind === 'broken')
    return (
      <span class="conn lost" role="alert">
        <i /> Stream broken
      </span>
    );
  const s = Math.max(0, Math.ceil((c.retryAt - Date.now()) / 1000));
  return (
    <span class="conn lost" role="alert" title="What is shown is the last that was heard">
      <i /> Reconnecting{s > 0 ? ` in ${s} s` : '…'}
    </span>
  );
}

const HELP: [string, [string, string][]][] = [
  [
    'Everywhere',
    [
      ['/', 'find a service'],
      ['g m', 'map'],
      ['g s', 'services'],
      ['g t', 'traces'],
      ['g q', 'quotas'],
      ['l', 'back to live'],
      ['d', 'dark or light theme'],
      ['?', 'this page'],
      ['Esc', 'let go, close'],
    ],
  ],
  [
    'Map',
    [
      ['← ↑ ↓ →', 'select the next node that way'],
      ['⇧ ← ↑ ↓ →', 'move the map'],
      ['n', 'next trouble: who is to blame first'],
      ['f', 'focus on the neighbourhood'],
      ['↵', 'open the selected service'],
      ['0', 'show all'],
      ['+ −', 'nearer, further'],
      ['p', 'play the past, pause'],
      ['[ ]', 'a step back, a step on'],
    ],
  ],
  [
    'Trace',
    [
      ['↑ ↓', 'previous, next span'],
      ['← →', 'fold, unfold'],
      ['↵', 'look at the span only'],
      ['n N', 'next, previous match'],
      ['c', 'along the critical path'],
      ['0', 'the whole trace'],
    ],
  ],
];

function Help(p: { close: () => void }): JSX.Element {
  useKeys({ Escape: p.close, '?': p.close });
  return (
    <div class="veil" onClick={(e) => e.target === e.currentTarget && p.close()}>
      <div class="dialog help" role="dialog" aria-label="Keyboard">
        <button type="button" class="panel-close" aria-label="Close" onClick={p.close}>
          <Icon name="close" />
        </button>
        <h2>Keyboard</h2>
        <div class="help-columns">
          {HELP.map(([title, keys]) => (
            <section key={title}>
              <h3>{title}</h3>
              <dl>
                {keys.map(([k, what]) => (
                  <div key={k}>
                    <dt>
                      {k.split(' ').map((x) => (
                        <kbd key={x}>{x}</kbd>
                      ))}
                    </dt>
                    <dd>{what}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
      </div>
    </div>
  );
}
