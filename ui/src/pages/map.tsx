import { computed, useSignalEffect } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Ailment, GraphEdge, GraphNode } from '../api/types';
import { AILMENTS, WINDOWS } from '../api/types';
import { duration, percent, rate, when } from '../base/format';
import type { Point } from '../base/geometry';
import { MapView, type Hit } from '../graph/view';
import { errorShare, signalsOf, tellingFigure } from '../model/graph';
import { findingsOf, findingWords } from '../model/findings';
import { blameOf, errorsToBlame } from '../model/trouble';
import { useKeys } from '../widgets/keys';
import { EdgeMark, NodeMark, Sign, TROUBLE_WORDS } from '../widgets/mark';
import { Icon, Segments } from '../widgets/parts';
import { go, href, mapWindow, param, patch, range } from '../widgets/route';
import { HowToSend } from '../widgets/connect';
import { Failure, Incomplete, Loading, Nothing } from '../widgets/states';
import { colors } from '../widgets/theme';
import { comparison } from './compare';
import { Compass } from './compass';
import { connection, graph, loaded, onGraphChange, opened, pastError, retryPast, useGraph } from './live';
import { MapPanel } from './mappanel';
import { MapTable } from './maptable';
import { MiniMap } from './minimap';
import { SidePanel, sideOf, type Side } from './sidepanel';
import { TimeStrip } from './timestrip';

// The page itself asks a few questions of the graph, and must not render four times a second for them: a computed
// signal renders it only when an answer changes. The map hears of changes directly, and the panel reads the graph by itself.
const nothingKnown = computed(() => useGraph().nodes.size === 0);
const lacking = computed(() => useGraph().incomplete);
const selectionKnown = computed(() => {
  const { nodes, edges } = useGraph();
  return nodes.has(param('node') ?? '') || edges.has(param('edge') ?? '');
});

declare global {
  interface Window {
    binnacleMap: MapView | undefined;
  }
}

export function MapPage(): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<MapView | undefined>(undefined);
  const [broken, setBroken] = useState<string | undefined>(undefined);
  const [hover, setHover] = useState<{ hit: Hit; at: Point }>({ hit: {}, at: { x: 0, y: 0 } });
  const moved = useRef(new Set<() => void>());
  const [placed, setPlaced] = useState(false);
  const node = param('node');
  const edge = param('edge');
  const focus = Number(param('focus') ?? 0);
  const selected = selectionKnown.value;
  const side = selected ? undefined : sideOf();
  const hasPanel = selected || side !== undefined;
  const empty = nothingKnown.value;

  useEffect(() => {
    if (host.current === null) return;
    let v: MapView;
    try {
      v = new MapView(host.current, graph, colors(), {
        select,
        open: (hit) => {
          if (hit.node !== undefined) go(href('/service', { id: hit.node }));
        },
        hover: (hit, at) =>
          setHover((h) =>
            h.hit.node === hit.node && h.hit.edge === hit.edge && hit.node === undefined && hit.edge === undefined
              ? h
              : { hit, at },
          ),
        moved: () => {
          if (view.current?.bounds() !== undefined) setPlaced(true);
          moved.current.forEach((f) => f());
        },
        unfold: (groups) => {
          opened.value = groups;
        },
        lost: () => setBroken('The graphics context was lost, as happens when the graphics driver restarts.'),
      });
    } catch (e) {
      setBroken(e instanceof Error ? e.message : String(e));
      return;
    }
    view.current = v;
    // For tests, and for whoever asks the console where something stands.
    window.binnacleMap = v;
    const off = onGraphChange((c) => v.changed(c));
    return () => {
      off();
      v.dispose();
      view.current = undefined;
    };
  }, [broken === undefined]);

  useSignalEffect(() => view.current?.setPalette(colors()));
  useSignalEffect(() => view.current?.compare(comparison.value.diff));

  useEffect(() => {
    const v = view.current;
    if (v === undefined) return;
    // On a telephone the tools wrap, and the panel covers the map.
    const narrow = innerWidth <= 760;
    v.inset = narrow
      ? { left: 16, right: 16, top: 136, bottom: 96 }
      : { left: 60, right: hasPanel ? 430 : 60, top: 70, bottom: 110 };
    // Where the compass is.
    v.corner = { w: 176, h: 140, foot: 74 };
    v.setLooks({
      selectedNode: node,
      selectedEdge: edge,
      window: mapWindow.value,
      edgeLabels: param('labels') === 'on',
      hideHealthy: param('hide') === 'healthy',
      focus: node !== undefined && focus > 0 ? graph.neighbourhood(node, focus) : undefined,
    });
  });
  useEffect(() => {
    if (node !== undefined) view.current?.reveal(node);
  }, [node, hasPanel]);
  useEffect(() => {
    if (node !== undefined && focus > 0) view.current?.fit(graph.neighbourhood(node, focus));
  }, [focus, focus > 0 ? node : undefined]);

  const step = (dx: number, dy: number): void => {
    const next = view.current?.neighbour(param('node'), dx, dy);
    if (next !== undefined) select({ node: next });
  };
  useKeys({
    ArrowLeft: (e) => (e.shiftKey ? view.current?.panBy(80, 0) : step(-1, 0)),
    ArrowRight: (e) => (e.shiftKey ? view.current?.panBy(-80, 0) : step(1, 0)),
    ArrowUp: (e) => (e.shiftKey ? view.current?.panBy(0, 80) : step(0, -1)),
    ArrowDown: (e) => (e.shiftKey ? view.current?.panBy(0, -80) : step(0, 1)),
    Escape: () => {
      if (focus > 0) patch({ focus: undefined });
      else if (selected) patch({ node: undefined, edge: undefined });
      else patch({ side: undefined, event: undefined });
    },
    Enter: () => node !== undefined && go(href('/service', { id: node })),
    f: () => toggleFocus(node, focus),
    0: () => view.current?.fit(),
    '+': () => view.current?.zoomBy(1.25),
    '=': () => view.current?.zoomBy(1.25),
    '-': () => view.current?.zoomBy(0.8),
  });

  const failed =
    broken ?? pastError.value ?? (connection.value.kind === 'broken' ? connection.value.reason : undefined);
  return (
    <div class={`map ${hasPanel ? 'with-panel' : ''}`}>
      <div
        ref={host}
        class="map-host"
        tabIndex={0}
        role="application"
        aria-label="Service map. Arrow keys move the selection, Enter opens a service, F focuses, Escape lets go."
      />
      {failed !== undefined ? (
        <div class="map-state">
          <Failure
            title={broken === undefined ? 'No map to show' : 'The map cannot be drawn'}
            error={failed}
            retry={broken !== undefined ? () => setBroken(undefined) : retryPast}
          />
        </div>
      ) : !loaded.value || (!placed && !empty) ? (
        <div class="map-state">
          <Loading
            what={
              range.value === undefined
                ? 'Waiting for the first picture of the mesh.'
                : 'Reading that time from the series store.'
            }
          />
        </div>
      ) : empty ? (
        <div class="map-state">
          {range.value === undefined ? (
            <Nothing title="Open water: nothing has reported yet">
              <HowToSend />
            </Nothing>
          ) : (
            <Nothing title="Nothing was seen at that time">
              <p>No traffic is stored for this range. Choose another on the strip below, or go back to live.</p>
            </Nothing>
          )}
        </div>
      ) : null}
      {failed === undefined && loaded.value && placed && !empty ? (
        <>
          {param('table') === 'on' ? <MapTable /> : null}
          <Tools view={view} />
          {param('legend') === 'on' ? <Legend /> : null}
          {connection.value.kind === 'waiting' && range.value === undefined ? (
            <p class="map-stale" role="alert">
              The server does not answer: these figures are of {when(graph.time, Date.now())}. Trying again.
            </p>
          ) : null}
          <Incomplete of={lacking.value} class="map-stale bad" />
          {hasPanel ? null : <MiniMap view={view} moved={moved.current} />}
          <Compass view={view} moved={moved.current} window={mapWindow.value} />
          <Tip hit={hover.hit} at={hover.at} />
        </>
      ) : null}
      {side !== undefined && failed === undefined && loaded.value ? <SidePanel side={side} /> : null}
      {selected ? (
        <MapPanel
          node={node}
          edge={edge}
          focus={focus}
          toggleFocus={() => toggleFocus(node, focus)}
          unfold={(id) => view.current?.flyTo(id)}
          setFocus={(n) => patch({ focus: n > 0 ? String(n) : undefined })}
        />
      ) : null}
      <TimeStrip />
    </div>
  );
}

function select(hit: Hit): void {
  patch({ node: hit.node, edge: hit.edge, ...(hit.node === undefined ? { focus: undefined } : {}) });
}

function toggleFocus(node: string | undefined, focus: number): void {
  if (node !== undefined) patch({ focus: focus > 0 ? undefined : '1' });
}

function Tools(p: { view: { current: MapView | undefined } }): JSX.Element {
  const v = (): MapView | undefined => p.view.current;
  return (
    <div class="tools">
      <div class="tool-group">
        <button type="button" title="Nearer (+)" aria-label="Zoom in" onClick={() => v()?.zoomBy(1.3)}>
          <Icon name="plus" />
        </button>
        <button type="button" title="Further (−)" aria-label="Zoom out" onClick={() => v()?.zoomBy(1 / 1.3)}>
          <Icon name="minus" />
        </button>
        <button type="button" title="Show all (0)" aria-label="Show all" onClick={() => v()?.fit()}>
          <Icon name="fit" />
        </button>
        <button
          type="button"
          title="Draw the map anew: all nodes get fresh places"
          aria-label="Draw the map anew"
          onClick={() => v()?.tidy()}
        >
          <Icon name="tidy" />
        </button>
      </div>
      <div class="tool-group words">
        <Toggle name="hide" on="healthy" title="Show only what is unwell, and what it hurts">
          Unwell
        </Toggle>
        <Toggle name="labels" on="on" title="Rate and p99 at each edge">
          Edges
        </Toggle>
        <Toggle name="legend" on="on" title="What shapes and colours mean">
          Legend
        </Toggle>
        <Toggle name="table" on="on" title="The same as a table">
          Table
        </Toggle>
      </div>
      <div class="tool-group words asks">
        <SideToggle side="findings" title="What is noticed: why an edge is missing or wrong">
          Findings
          <FindingsCount />
        </SideToggle>
        <SideToggle side="events" title="What happened to the mesh">
          Events
        </SideToggle>
        <SideToggle side="diff" title="What is not as it was in another time">
          Compare
        </SideToggle>
      </div>
      {range.value === undefined ? (
        <Segments
          label="Figures over the last"
          options={WINDOWS}
          value={mapWindow.value}
          set={(w) => patch({ win: w === '10s' ? undefined : w })}
        />
      ) : null}
    </div>
  );
}

function SideToggle(p: { side: Side; title: string; children: ComponentChildren }): JSX.Element {
  const pressed = param('side') === p.side;
  return (
    <button
      type="button"
      title={p.title}
      aria-pressed={pressed}
      onClick={() =>
        patch({
          side: pressed ? undefined : p.side,
          event: undefined,
          node: undefined,
          edge: undefined,
          focus: undefined,
        })
      }
    >
      {p.children}
    </button>
  );
}

const findingsKnown = computed(() => useGraph().findings.length);

function FindingsCount(): JSX.Element | null {
  return findingsKnown.value === 0 ? null : <b class="count">{findingsKnown.value}</b>;
}

/** A button that sets a parameter of the address, or takes it away. */
function Toggle(p: { name: string; on: string; title: string; children: ComponentChildren }): JSX.Element {
  const pressed = param(p.name) === p.on;
  return (
    <button
      type="button"
      title={p.title}
      aria-pressed={pressed}
      onClick={() => patch({ [p.name]: pressed ? undefined : p.on })}
    >
      {p.children}
    </button>
  );
}

function Legend(): JSX.Element {
  return (
    <section class="map-legend" aria-label="Legend">
      <ul>
        {AILMENTS.map((t) => (
          <li key={t}>
            <Sign part="culprit" trouble={t} label="" />
            <b>{TROUBLE_WORDS[t]}</b> {EXPLAINED[t]}
          </li>
        ))}
        <li>
          <Sign part="victim" trouble={undefined} label="" />
          <b>suffers</b> ill because of another
        </li>
        <li>
          <svg width="34" height="10" viewBox="0 0 34 10" class="legend-wake" aria-hidden="true">
            <path d="M0 5h34" />
            <path d="m8 2 3 3-3 3M20 2l3 3-3 3" />
          </svg>
          chevrons lead from who suffers to who is to blame
        </li>
        <li>
          <Sign part="accused" trouble="failing" label="" />
          hollow: unwell, and nothing says why
        </li>
        <li>
          <Icon name="search" /> a finding: why something is missing or wrong here
        </li>
      </ul>
      <p>
        Solid, with its name on a plate and rings around it: to blame. A dot is a request; red ones failed, violet ones
        were refused.
      </p>
    </section>
  );
}

const EXPLAINED: Readonly<Record<Ailment, string>> = {
  slow: 'takes longer than it used to; a second ring',
  failing: 'answers with errors; a toothed ring',
  throttled: 'refused by a limit; a ring of bars',
  cut_off: 'no traffic where there was; a ring with gaps',
};

function Tip(p: { hit: Hit; at: Point }): JSX.Element | null {
  const graph = useGraph();
  const n = p.hit.node === undefined ? undefined : graph.nodes.get(p.hit.node);
  const e = p.hit.edge === undefined ? undefined : graph.edges.get(p.hit.edge);
  const of: GraphNode | GraphEdge | undefined = n ?? e;
  if (of === undefined) return null;
  const s = signalsOf(of, mapWindow.value);
  const errors =
    n === undefined
      ? errorsToBlame(e!, graph, s)
      : blameOf(n).part !== 'victim' && tellingFigure(n.health, s) === 'errors';
  const title =
    n !== undefined
      ? n.name
      : `${graph.nodes.get(e!.source)?.name ?? e!.source} → ${graph.nodes.get(e!.target)?.name ?? e!.target}`;
  const small =
    n !== undefined
      ? [n.namespace, n.kind === 'service' ? n.versions.join(' ') : n.system || n.kind]
          .filter((x) => x !== '')
          .join(' · ')
      : [
          e!.protocol,
          e!.mtls < 0 ? '' : e!.mtls > 0.995 ? 'mTLS' : e!.mtls > 0 ? `mTLS ${percent(e!.mtls)}` : 'plaintext',
        ]
          .filter((x) => x !== '')
          .join(' · ');
  return (
    <div class="tip" style={{ transform: `translate(${p.at.x + 16}px, ${p.at.y + 14}px)` }}>
      <strong>
        {n !== undefined ? (
          <NodeMark n={n} window={mapWindow.value} />
        ) : (
          <EdgeMark e={e!} graph={graph} window={mapWindow.value} />
        )}{' '}
        {title}
      </strong>
      <small>{small}</small>
      {of.judgement !== undefined ? <p class="tip-says">{of.judgement.says}</p> : null}
      {findingsOf(graph, of.id).map((f) => (
        <p key={f.kind + f.subject} class="tip-says">
          {findingWords(f.kind)}
        </p>
      ))}
      {n?.group?.worst !== undefined ? <p class="tip-says">{n.group.worst.judgement.says}</p> : null}
      {s.rate > 0 ? (
        <dl>
          <dt>rate</dt>
          <dd>{rate(s.rate)}</dd>
          <dt>errors</dt>
          <dd class={errors ? 'bad' : ''}>{percent(errorShare(s))}</dd>
          {s.throttled_rate > 0 ? (
            <>
              <dt>throttled</dt>
              <dd class="throttled">{rate(s.throttled_rate)}</dd>
            </>
          ) : null}
          <dt>p50</dt>
          <dd>{duration(s.p50)}</dd>
          <dt>p99</dt>
          <dd>{duration(s.p99)}</dd>
        </dl>
      ) : (
        <small>
          {of.ghost === true
            ? 'gone: it was there in the time compared with'
            : n !== undefined && graph.incoming(n.id).length === 0
              ? 'calls others; nothing calls it'
              : 'no traffic in this window'}
        </small>
      )}
    </div>
  );
}
