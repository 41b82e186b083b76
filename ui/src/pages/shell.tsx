import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { GraphNode } from '../api/types';
import { bySeverity, signalsOf, type GraphModel } from '../model/graph';
import { duration, rate, when } from '../base/format';
import { useKeys } from '../widgets/keys';
import { HealthMark, Icon, Link } from '../widgets/parts';
import { go, href, patch, range, route } from '../widgets/route';
import { theme, toggleTheme } from '../widgets/theme';
import { connection, useGraph } from './live';
import { MapPage } from './map';
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

function Search(p: { close: () => void }): JSX.Element {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => input.current?.focus(), []);
  const graph = useGraph();
  const found = rank(graph, text);
  const pick = (i: number, page: boolean): void => {
    const n = found[i];
    p.close();
    if (n === undefined) return;
    if (page || route.value.path === '/service') go(href('/service', { id: n.id }));
    else if (route.value.path === '/') patch({ node: n.id, edge: undefined, focus: undefined });
    else go(href('/', { node: n.id }));
  };
  const move = (by: number): void => {
    const next = Math.max(0, Math.min(found.length - 1, at + by));
    setAt(next);
    list.current?.children[next]?.scrollIntoView({ block: 'nearest' });
  };
  useKeys({
    typing: () => undefined,
    Escape: p.close,
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: (e) => pick(at, e.shiftKey),
  });
  return (
    <div class="veil" onClick={(e) => e.target === e.currentTarget && p.close()}>
      <div class="dialog search" role="dialog" aria-label="Find a service">
        <div class="search-field">
          <Icon name="search" />
          <input
            ref={input}
            value={text}
            placeholder="Service, namespace, database, host…"
            aria-label="Find a service"
            onInput={(e) => {
              setText(e.currentTarget.value);
              setAt(0);
            }}
          />
        </div>
        <ul ref={list} role="listbox">
          {found.map((n, i) => {
            const s = signalsOf(n, '10s');
            return (
              <li
                key={n.id}
                role="option"
                aria-selected={i === at}
                onPointerMove={() => setAt(i)}
                onClick={(e) => pick(i, e.shiftKey)}
              >
                <HealthMark health={n.health} />
                <span class="found-name">{n.name}</span>
                <small>{n.namespace || n.kind}</small>
                <span class="num dim">{s.rate > 0 ? `${rate(s.rate)} · ${duration(s.p99)}` : ''}</span>
              </li>
            );
          })}
          {found.length === 0 ? (
            <li class="none">
              {graph.nodes.size === 0 ? 'Nothing has reported yet.' : 'Nothing of that name on the map.'}
            </li>
          ) : null}
        </ul>
        <footer>
          <kbd>↵</kbd> show on the map <kbd>⇧ ↵</kbd> open its page <kbd>Esc</kbd> close
        </footer>
      </div>
    </div>
  );
}

/** Names that begin with the text, then those that contain it; without a text, the troubled first. */
function rank(graph: GraphModel, text: string): GraphNode[] {
  const q = text.trim().toLowerCase();
  const score = (name: string, id: string): number =>
    name.toLowerCase().startsWith(q) ? 0 : name.toLowerCase().includes(q) ? 1 : id.toLowerCase().includes(q) ? 2 : 9;
  const worse = bySeverity('10s');
  return [...graph.nodes.values()]
    .map((n) => ({ n, s: score(n.name, n.id) }))
    .filter((x) => x.s < 9)
    .sort((a, b) => a.s - b.s || worse(a.n, b.n))
    .slice(0, 60)
    .map((x) => x.n);
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
      ['n', 'next trouble'],
      ['f', 'focus on the neighbourhood'],
      ['↵', 'open the selected service'],
      ['0', 'show all'],
      ['+ −', 'nearer, further'],
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
