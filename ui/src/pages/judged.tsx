import type { JSX } from 'preact';
import type { GraphEdge, GraphNode, Judgement } from '../api/types';
import { age, clock } from '../base/format';
import { blamed, blameOf, nameOf, SHARED_CAUSE, type Blamed, type Trouble } from '../model/trouble';
import { Sign, stateWords, TROUBLE_WORDS } from '../widgets/mark';
import { Link } from '../widgets/parts';
import { go, href, patch, route } from '../widgets/route';
import { useGraph } from './live';

// What the server judges of something that is ill, in words: its sentence, since when, and a way to who is to blame.

/** The judgement of a node or an edge; nothing where it is well. `page`: ways lead to pages of services, not over the map. */
export function Judged(p: { of: GraphNode | GraphEdge; page?: boolean }): JSX.Element | null {
  const j = p.of.judgement;
  if (j === undefined) return null;
  const itself = j.because === '' || j.because === p.of.id;
  return (
    <Sentence
      j={j}
      victim={!itself && !('target' in p.of && ends(p.of).includes(j.because))}
      page={p.page}
      itself={itself}
    />
  );
}

const ends = (e: GraphEdge): string[] => [e.source, e.target];

export function Sentence(p: {
  j: Judgement;
  itself: boolean;
  victim: boolean;
  page?: boolean | undefined;
}): JSX.Element {
  const { j } = p;
  const graph = useGraph();
  const name = nameOf(graph, j.because);
  const kind: Trouble | undefined = j.kind === 'other' ? undefined : j.kind;
  const part = p.victim ? 'victim' : 'culprit';
  return (
    <section class={`judged judged-${p.victim ? 'victim' : (kind ?? 'failing')}`} aria-label="What is wrong">
      <p class="judged-says">
        <Sign part={part} trouble={kind} label={stateWords(part, kind)} />
        <span>{j.says === '' ? stateWords(part, kind) : ended(j.says)}</span>
      </p>
      <p class="judged-since">
        {j.since > 0 ? (
          <time dateTime={new Date(j.since).toISOString()}>
            since {age(graph.time - j.since)} ({clock(j.since)})
          </time>
        ) : null}
        {p.itself ? null : (
          <span>
            {p.victim ? 'because of ' : 'to blame: '}
            {j.because === SHARED_CAUSE ? (
              name
            ) : p.page === true ? (
              <Link to="/service" params={{ id: j.because }} class="cause">
                {name}
              </Link>
            ) : (
              <a
                class="cause"
                href={href('/', { node: j.because })}
                onClick={(e) => {
                  e.preventDefault();
                  patch({ node: j.because, edge: undefined, focus: undefined });
                }}
              >
                {name}
              </a>
            )}
          </span>
        )}
      </p>
    </section>
  );
}

function ended(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Who is to blame, as a line: 'inventory is slow (since 2 min): 3 callers suffer'. */
export function lineOf(b: Blamed, now: number | undefined): string {
  const kind = b.judgement?.kind;
  const how = kind === undefined || kind === 'other' ? 'unwell' : TROUBLE_WORDS[kind];
  const since =
    now === undefined || b.judgement === undefined || b.judgement.since <= 0
      ? ''
      : ` (since ${age(now - b.judgement.since)})`;
  const hurt = b.suffer === 0 ? '' : b.suffer === 1 ? ': 1 caller suffers' : `: ${b.suffer} callers suffer`;
  return `${b.name} is ${how}${since}${hurt}`;
}

/** The line at the top of each page while somebody is to blame: the worst, and how many more. A press goes there. */
export function Verdict(): JSX.Element {
  const graph = useGraph();
  const all = blamed(graph);
  const worst = all[0];
  const more = all.length - 1;
  const kind = worst?.judgement?.kind;
  return (
    <>
      {/* Read out when it changes, and not because time goes by. */}
      <span class="unseen" role="status">
        {worst === undefined ? '' : `${lineOf(worst, undefined)}${more > 0 ? `, and ${more} more` : ''}`}
      </span>
      {worst === undefined ? null : (
        <button
          type="button"
          class={`verdict verdict-${kind === undefined || kind === 'other' ? 'failing' : kind}`}
          title={`${worst.judgement?.says ?? ''}\nShow on the map (n on the map: the next)`}
          onClick={() => {
            if (route.value.path === '/') patch({ node: worst.id, edge: undefined, focus: undefined });
            else go(href('/', { node: worst.id }));
          }}
        >
          <Sign part="culprit" trouble={kind === 'other' ? undefined : kind} label="" />
          <span>{lineOf(worst, graph.time)}</span>
          {more > 0 ? (
            <small>
              {`+${more}`}
              <span class="unseen">{` more to blame`}</span>
            </small>
          ) : null}
        </button>
      )}
    </>
  );
}

/** What a table says of a node's part in what is wrong. */
export function partWords(n: GraphNode, name: (id: string) => string): string {
  const { part, cause } = blameOf(n);
  const g = n.group;
  if (g !== undefined && g.culprits + g.victims > 0)
    return [
      g.culprits > 0 ? `${g.culprits} to blame${g.worst === undefined ? '' : `, the worst ${g.worst.name}`}` : '',
      g.victims > 0 ? `${g.victims} suffer` : '',
    ]
      .filter((w) => w !== '')
      .join('; ');
  return part === 'culprit' ? 'to blame' : part === 'victim' ? `suffers from ${name(cause ?? '')}` : '';
}
