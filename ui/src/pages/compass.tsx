import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { MapView } from '../graph/view';
import { blamed, counts, standsFor, troubleOf, troubles } from '../model/trouble';
import { useKeys } from '../widgets/keys';
import { param, patch } from '../widgets/route';
import { useGraph } from './live';

// A compass on the map: while all is well its needle rests to the north; when something is unwell the needle points there,
// from the middle of what is seen, and a press goes there, one trouble after another: who is to blame before who suffers.

export function Compass(p: {
  view: { current: MapView | undefined };
  moved: Set<() => void>;
  window: string;
}): JSX.Element {
  const needle = useRef<SVGGElement>(null);
  const graph = useGraph();
  const bad = troubles(graph, p.window);
  const target = bad[0] === undefined ? undefined : standsFor(graph, bad[0]);

  useEffect(() => {
    let drawn = '';
    const turn = (): void => {
      const v = p.view.current;
      const at = v !== undefined && target !== undefined ? v.place(target) : undefined;
      let angle = 0;
      if (v !== undefined && at !== undefined) {
        const s = v.camera.toScreen(at);
        angle = (Math.atan2(s.y - v.camera.height / 2, s.x - v.camera.width / 2) * 180) / Math.PI + 90;
      }
      const turned = `rotate(${angle.toFixed(1)}deg)`;
      if (needle.current === null || turned === drawn) return;
      drawn = turned;
      needle.current.style.transform = turned;
    };
    turn();
    p.moved.add(turn);
    return () => {
      p.moved.delete(turn);
    };
  }, [target]);

  const visit = (): void => {
    if (bad.length === 0) {
      p.view.current?.fit();
      return;
    }
    const at = bad.indexOf(param('node') ?? '');
    const next = bad[(at + 1) % bad.length];
    if (next === undefined) return;
    // One that is folded away unfolds: the map goes there when it has a place.
    patch({ node: next, edge: undefined, focus: undefined });
    p.view.current?.flyTo(next);
  };
  useKeys({ n: visit });

  const { culprits, accused, victims } = counts(graph);
  const words =
    bad.length === 0
      ? 'All well'
      : [
          culprits > 0 ? `${culprits} to blame` : '',
          accused > 0 ? `${accused} unwell` : '',
          victims > 0 ? `${victims} suffer` : '',
        ]
          .filter((w) => w !== '')
          .join(', ');
  const node = target === undefined ? undefined : graph.nodes.get(target);
  const kind = blamed(graph)[0]?.judgement?.kind ?? (node === undefined ? undefined : troubleOf(node, p.window));
  return (
    <button
      type="button"
      class={`compass ${bad.length === 0 ? 'calm' : kind === undefined || kind === 'other' ? 'failing' : kind}`}
      onClick={visit}
      title={bad.length === 0 ? 'Show all' : 'Go to the next trouble (n)'}
    >
      <svg viewBox="-50 -50 100 100" width="84" height="84" aria-hidden="true">
        <circle r="48" class="case" />
        <circle r="42" class="card" />
        {Array.from({ length: 24 }, (_, i) => (
          <line
            key={i}
            y1="-41"
            y2={i % 6 === 0 ? -33 : -37}
            transform={`rotate(${i * 15})`}
            class={i % 6 === 0 ? 'tick main' : 'tick'}
          />
        ))}
        <text y="-22" class="letter">
          N
        </text>
        <g ref={needle} class="needle">
          <path d="M0-31 5.5 0H-5.5Z" class="north" />
          <path d="M0 31 5.5 0H-5.5Z" class="south" />
          <circle r="2.6" class="pin" />
        </g>
      </svg>
      <span>{words}</span>
    </button>
  );
}
