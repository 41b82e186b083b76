import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { findNodes } from '../api/client';
import type { Found, GraphNode } from '../api/types';
import { duration, rate } from '../base/format';
import { signalsOf, type GraphModel } from '../model/graph';
import { blameOf, bySeverity, isUnwell } from '../model/trouble';
import { useKeys } from '../widgets/keys';
import { FoundMark, NodeMark } from '../widgets/mark';
import { Icon } from '../widgets/parts';
import { go, href, patch, route } from '../widgets/route';
import { useGraph } from './live';

// The dialog that finds a node by a part of its name, of its namespace, or by its health. Where the graph is folded the
// page does not know all nodes, and the server finds them.

const MOST = 60;

type Entry = Omit<Found, 'group'>;

export function Search(p: { close: () => void }): JSX.Element {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  useLayoutEffect(() => input.current?.focus(), []);
  const graph = useGraph();
  const { found, more } = useFound(graph, text);
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
            const known = graph.nodes.get(n.id);
            const s = signalsOf(known ?? { windows: {} }, '10s');
            return (
              <li
                key={n.id}
                role="option"
                aria-selected={i === at}
                onPointerMove={() => setAt(i)}
                onClick={(e) => pick(i, e.shiftKey)}
              >
                {known === undefined ? <FoundMark f={{ ...n, group: '' }} /> : <NodeMark n={known} window="10s" />}
                <span class="found-name">{n.name}</span>
                <small>{n.namespace || n.kind}</small>
                <span class="num dim">{s.rate > 0 ? `${rate(s.rate)} · ${duration(s.p99)}` : ''}</span>
              </li>
            );
          })}
          {more > 0 ? <li class="none">{`and ${more.toLocaleString('en')} more: type on`}</li> : null}
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

/** What is found for a text, and how many more there are. */
export function useFound(graph: GraphModel, text: string): { found: readonly Entry[]; more: number } {
  const folded = [...graph.nodes.values()].some((n) => n.group !== undefined);
  const [answer, setAnswer] = useState<{ found: readonly Entry[]; more: number }>({ found: [], more: 0 });
  useEffect(() => {
    if (!folded) return;
    const abort = new AbortController();
    const start = performance.now();
    findNodes(text.trim(), MOST, abort.signal).then(
      (a) => {
        setAnswer({ found: a.nodes, more: Math.max(0, a.found - a.nodes.length) });
        performance.measure('found', { start, end: performance.now() });
      },
      () => undefined, // an older server has no such question, and the next letter asks again
    );
    return () => abort.abort();
  }, [text, folded]);
  return folded ? answer : { found: rank(graph, text), more: 0 };
}

/** Names that begin with the text, then those that contain it, then who is unwell so; without a text, the troubled first. */
function rank(graph: GraphModel, text: string): GraphNode[] {
  const q = text.trim().toLowerCase();
  const score = (n: GraphNode): number => {
    const name = n.name.toLowerCase();
    if (name.startsWith(q)) return 0;
    return name.includes(q) ? 1 : n.id.toLowerCase().includes(q) ? 2 : isIll(n, q) ? 3 : 9;
  };
  const worse = bySeverity(graph, '10s');
  return [...graph.nodes.values()]
    .map((n) => ({ n, s: score(n) }))
    .filter((x) => x.s < 9)
    .sort((a, b) => a.s - b.s || worse(a.n, b.n))
    .slice(0, MOST)
    .map((x) => x.n);
}

/** Whether a node is ill in the way that a text names, or in that part: the words that the server's own search knows. */
function isIll(n: GraphNode, text: string): boolean {
  const { part } = blameOf(n);
  return part === text || (isUnwell(n.health) && n.health === text) || n.judgement?.kind === text.replace(' ', '_');
}
