import { curveDistance, type Point, type Rect } from '../base/geometry';
import { onFrame, type PaintHandle } from '../base/raf';
import { keep, kept } from '../base/storage';
import type { Change, GraphModel } from '../model/graph';
import { Camera, type View } from './camera';
import { COAST } from './hull';
import type { Chart, ChartRequest } from './layout.worker';
import { Renderer, type Palette } from './renderer';
import { nodeRadius, Scene, type Looks } from './scene';

// The map as one object: canvas, camera, worker, input. It knows no framework; the page gives it a model and hears
// of selections. It paints only when something changed or moves (base/raf).

export interface Hit {
  node?: string;
  edge?: string;
}

export interface MapEvents {
  select: (hit: Hit) => void;
  open: (hit: Hit) => void;
  hover: (hit: Hit, at: Point) => void;
  /** After each frame in which the camera moved or the map's shape changed. */
  moved: () => void;
  lost: () => void;
}

const PLACES = 'places';
const CAMERA = 'camera';
const MAX_KEPT_PLACES = 5000;

export class MapView {
  readonly camera = new Camera();
  private readonly canvas: HTMLCanvasElement;
  private readonly renderer: Renderer;
  private readonly scene = new Scene();
  private readonly worker: Worker;
  private readonly paint: PaintHandle;
  private readonly resizing: ResizeObserver;
  private readonly still = matchMedia('(prefers-reduced-motion: reduce)');
  private readonly abort = new AbortController();
  private pinned: Map<string, Point>;
  private looks: Looks = {
    selectedNode: undefined,
    selectedEdge: undefined,
    hoverNode: undefined,
    hoverEdge: undefined,
    focus: undefined,
    window: '10s',
  };
  private palette: Palette;
  private serial = 0;
  private wanted = false;
  private busy = false;
  private stale = true;
  private moving = false;
  private epoch = performance.now();
  private seconds = 0;
  private fitted: boolean;
  private corner: Point | undefined;
  private pointer: Point | undefined;
  private pointers = new Map<number, Point>();
  private dragged = false;
  private cameraTimer: ReturnType<typeof setTimeout> | undefined;
  private rebuiltAt = 0;
  /** Room that panels take from the map, in CSS pixels. */
  inset = { left: 60, right: 60, top: 70, bottom: 110 };

  constructor(
    private readonly host: HTMLElement,
    private readonly model: GraphModel,
    palette: Palette,
    private readonly events: MapEvents,
  ) {
    this.palette = palette;
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'map-canvas';
    host.append(this.canvas);
    this.renderer = new Renderer(this.canvas);
    this.pinned = keptPlaces();
    const camera = keptCamera();
    this.fitted = camera !== undefined;
    if (camera !== undefined) this.camera.view = camera;
    this.worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
    this.worker.onmessage = (e: MessageEvent<Chart>) => this.charted(e.data);
    this.paint = onFrame((t) => this.frame(t));
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(host);
    this.listen();
    this.resize();
    this.reshape();
  }

  dispose(): void {
    this.abort.abort();
    this.resizing.disconnect();
    this.paint.dispose();
    this.worker.terminate();
    clearTimeout(this.cameraTimer);
    this.renderer.dispose();
    this.canvas.remove();
  }

  /** The model changed. */
  changed(change: Change): void {
    if (change.shape) this.reshape();
    else this.refresh();
  }

  setPalette(p: Palette): void {
    this.palette = p;
    this.renderer.atlas.clear();
    this.refresh();
  }

  setLooks(looks: Partial<Looks>): void {
    this.looks = { ...this.looks, ...looks };
    this.refresh();
  }

  place(id: string): Point | undefined {
    return this.scene.places.get(id);
  }

  /** Bounds of all nodes, or of some. */
  bounds(ids?: Iterable<string>): Rect | undefined {
    let r: { x0: number; y0: number; x1: number; y1: number } | undefined;
    for (const id of ids ?? this.scene.places.keys()) {
      const p = this.scene.places.get(id);
      if (p === undefined) continue;
      r =
        r === undefined
          ? { x0: p.x, y0: p.y, x1: p.x, y1: p.y }
          : { x0: Math.min(r.x0, p.x), y0: Math.min(r.y0, p.y), x1: Math.max(r.x1, p.x), y1: Math.max(r.y1, p.y) };
    }
    return r === undefined ? undefined : { x: r.x0 - 70, y: r.y0 - 84, w: r.x1 - r.x0 + 140, h: r.y1 - r.y0 + 168 };
  }

  fit(ids?: Iterable<string>, flying = true): void {
    const b = this.bounds(ids);
    if (b === undefined) return;
    this.camera.flyTo(
      this.camera.fitView(b, this.inset, ids === undefined ? 1.15 : 1.3),
      performance.now(),
      !flying || this.still.matches,
    );
    this.moving = true;
    this.paint.now();
  }

  flyTo(id: string): void {
    const p = this.scene.places.get(id);
    if (p === undefined) return;
    const zoom = Math.max(this.camera.view.zoom, 0.9);
    const shift = (this.inset.right - this.inset.left) / 2 / zoom;
    this.camera.flyTo({ x: p.x + shift, y: p.y, zoom }, performance.now(), this.still.matches);
    this.moving = true;
    this.paint.now();
  }

  /** Brings a node out from under a panel, without moving the map more than it must. */
  reveal(id: string): void {
    const p = this.scene.places.get(id);
    if (p === undefined) return;
    const s = this.camera.toScreen(p);
    const { left, right, top, bottom } = this.inset;
    if (s.x > left && s.x < this.camera.width - right && s.y > top && s.y < this.camera.height - bottom) return;
    this.flyTo(id);
  }

  zoomBy(factor: number): void {
    this.camera.zoomAt({ x: this.camera.width / 2, y: this.camera.height / 2 }, factor);
    this.cameraMoved();
  }

  panBy(dx: number, dy: number): void {
    this.camera.panBy(dx, dy);
    this.cameraMoved();
  }

  /** Forgets all places and draws the map anew: only ever by the user's will. */
  tidy(): void {
    this.pinned.clear();
    this.fitted = false;
    this.reshape();
  }

  /** The nearest node in a direction, for the arrow keys; without a start, the one nearest to the middle. */
  neighbour(from: string | undefined, dx: number, dy: number): string | undefined {
    const start = from === undefined ? undefined : this.scene.places.get(from);
    const mid = start ?? this.camera.toWorld({ x: this.camera.width / 2, y: this.camera.height / 2 });
    let best: string | undefined;
    let bestCost = Infinity;
    for (const [id, p] of this.scene.places) {
      if (id === from) continue;
      const x = p.x - mid.x;
      const y = p.y - mid.y;
      const along = start === undefined ? Math.hypot(x, y) : x * dx + y * dy;
      const aside = start === undefined ? 0 : Math.abs(x * dy - y * dx);
      if (along <= 1 || aside > along * 1.6) continue;
      if (along + aside * 2 < bestCost) {
        bestCost = along + aside * 2;
        best = id;
      }
    }
    return best;
  }

  hit(at: Point): Hit {
    const w = this.camera.toWorld(at);
    const scale = Math.min(1.5, Math.max(0.3, this.camera.view.zoom)) / this.camera.view.zoom;
    let node: string | undefined;
    let nearest = Infinity;
    for (const [id, p] of this.scene.places) {
      const n = this.model.nodes.get(id);
      if (n === undefined) continue;
      const d = Math.hypot(p.x - w.x, p.y - w.y);
      if (d < (nodeRadius(n, this.looks.window) + 7) * scale && d < nearest) {
        nearest = d;
        node = id;
      }
    }
    if (node !== undefined) return { node };
    let edge: string | undefined;
    let close = 8 / this.camera.view.zoom;
    for (const [id, c] of this.scene.curves) {
      const reach = close + 60;
      if (
        w.x < Math.min(c[0], c[6], c[4]) - reach ||
        w.x > Math.max(c[0], c[6], c[2]) + reach ||
        w.y < Math.min(c[1], c[3], c[7]) - reach ||
        w.y > Math.max(c[1], c[3], c[7]) + reach
      )
        continue;
      const d = curveDistance(c, w);
      if (d < close) {
        close = d;
        edge = id;
      }
    }
    return edge === undefined ? {} : { edge };
  }

  private refresh(): void {
    this.stale = true;
    // Deltas come four times a second; they ride on the frames that the dots ask for anyway.
    if (this.moving) this.paint.ambient();
    else this.paint.now();
  }

  private reshape(): void {
    this.wanted = true;
    this.ask();
    this.refresh();
  }

  /** One question to the worker at a time; what changes meanwhile is asked once afterwards. */
  private ask(): void {
    if (this.busy || !this.wanted || (this.model.nodes.size === 0 && this.scene.places.size === 0)) return;
    this.wanted = false;
    this.busy = true;
    const nodes = [...this.model.nodes.values()].map((n) => ({ id: n.id, group: n.namespace, kind: n.kind }));
    const edges = [...this.model.edges.values()]
      .filter((e) => this.model.complete(e))
      .map((e) => ({ id: e.id, source: e.source, target: e.target }));
    const pinned = nodes.flatMap((n): [string, Point][] => {
      const p = this.pinned.get(n.id);
      return p === undefined ? [] : [[n.id, p]];
    });
    const request: ChartRequest = { serial: ++this.serial, nodes, edges, pinned };
    this.worker.postMessage(request);
  }

  private charted(c: Chart): void {
    this.busy = false;
    let fresh = false;
    for (const [id, p] of c.places) {
      if (!this.pinned.has(id)) {
        this.pinned.set(id, p);
        fresh = true;
      }
    }
    if (fresh) keepPlaces(this.pinned);
    this.scene.setChart(new Map(c.places), new Map(c.curves), c.hulls);
    this.renderer.setLands(c.hulls);
    this.stale = true;
    if (!this.fitted && c.places.length > 0) {
      this.fitted = true;
      this.fit(undefined, false);
    }
    this.paint.now();
    this.events.moved();
    this.ask();
  }

  private resize(): void {
    this.corner = undefined;
    this.camera.width = this.host.clientWidth;
    this.camera.height = this.host.clientHeight;
    if (this.renderer.resize(this.camera.width, this.camera.height, Math.min(2, devicePixelRatio))) {
      this.renderer.atlas.clear(Math.min(2, devicePixelRatio));
      this.stale = true;
    }
    this.paint.now();
    this.events.moved();
  }

  private frame(time: number): void {
    if (!this.still.matches) this.seconds = (time - this.epoch) / 1000;
    if (this.seconds > 1800) {
      this.scene.rebase(this.seconds);
      this.epoch = time;
      this.seconds = 0;
      this.stale = true;
    }
    const flying = this.camera.step(time);
    // While a hand or a flight moves the map, figures wait: a frame is then uniforms and draw calls only.
    if (this.stale && (time - this.rebuiltAt > 1000 || !(flying || this.dragged))) {
      this.stale = false;
      this.rebuiltAt = time;
      this.moving =
        this.scene.build(this.model, this.looks, this.palette, this.renderer, this.seconds, flying || this.dragged) &&
        !this.still.matches;
    }
    this.renderer.draw(this.camera.view, this.seconds, this.palette, COAST, this.looks.focus === undefined ? 1 : 0.55);
    if (flying) {
      this.keepCamera();
      this.events.moved();
      this.paint.now();
    } else if (this.moving || this.stale) this.paint.ambient();
  }

  private cameraMoved(): void {
    this.keepCamera();
    this.paint.now();
    this.events.moved();
  }

  private keepCamera(): void {
    clearTimeout(this.cameraTimer);
    this.cameraTimer = setTimeout(() => keep(CAMERA, this.camera.view), 300);
  }

  /** A pointer's place on the canvas. The canvas' own is read once a press or entry: asked in each move, it costs a layout. */
  private local(e: { clientX: number; clientY: number }): Point {
    this.corner ??= this.canvas.getBoundingClientRect();
    return { x: e.clientX - this.corner.x, y: e.clientY - this.corner.y };
  }

  private listen(): void {
    const on = <K extends keyof HTMLElementEventMap>(
      name: K,
      f: (e: HTMLElementEventMap[K]) => void,
      passive = true,
    ): void => this.canvas.addEventListener(name, f, { signal: this.abort.signal, passive });
    this.canvas.addEventListener('webglcontextlost', () => this.events.lost(), { signal: this.abort.signal });
    on(
      'wheel',
      (e) => {
        e.preventDefault();
        const step = e.deltaMode === 1 ? 18 : 1;
        this.camera.zoomAt(this.local(e), Math.exp(-e.deltaY * step * (e.ctrlKey ? 0.01 : 0.0016)));
        this.cameraMoved();
      },
      false,
    );
    on('pointerenter', () => {
      this.corner = undefined;
    });
    on('pointerdown', (e) => {
      this.corner = undefined;
      if (e.button !== 0) return;
      this.canvas.setPointerCapture(e.pointerId);
      this.pointers.set(e.pointerId, this.local(e));
      this.pointer = this.local(e);
      this.dragged = false;
    });
    on('pointermove', (e) => this.pointerMoved(e));
    const up = (e: PointerEvent): void => {
      const was = this.pointers.delete(e.pointerId);
      this.canvas.classList.remove('dragging');
      if (was && !this.dragged && e.type === 'pointerup') this.events.select(this.hit(this.local(e)));
      if (this.pointers.size === 0) this.dragged = false;
      this.pointer = undefined;
    };
    on('pointerup', up);
    on('pointercancel', up);
    on('dblclick', (e) => this.events.open(this.hit(this.local(e))));
    on('pointerleave', () => this.hoverTo({}, { x: 0, y: 0 }));
  }

  private pointerMoved(e: PointerEvent): void {
    const at = this.local(e);
    const before = this.pointers.get(e.pointerId);
    if (before === undefined) {
      this.hoverTo(this.hit(at), at);
      return;
    }
    const start = this.pointer ?? at;
    if (!this.dragged && Math.hypot(at.x - start.x, at.y - start.y) < 4 && this.pointers.size === 1) return;
    if (!this.dragged) {
      this.dragged = true;
      this.canvas.classList.add('dragging');
      this.hoverTo({}, at);
    }
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== e.pointerId)?.[1] ?? at;
      const factor =
        Math.hypot(at.x - other.x, at.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
      this.camera.zoomAt({ x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 }, factor);
      this.camera.panBy((at.x - before.x) / 2, (at.y - before.y) / 2);
    } else this.camera.panBy(at.x - before.x, at.y - before.y);
    this.pointers.set(e.pointerId, at);
    this.cameraMoved();
  }

  private hoverTo(hit: Hit, at: Point): void {
    const changed = hit.node !== this.looks.hoverNode || hit.edge !== this.looks.hoverEdge;
    this.canvas.style.cursor = hit.node === undefined && hit.edge === undefined ? '' : 'pointer';
    if (changed) {
      this.looks = { ...this.looks, hoverNode: hit.node, hoverEdge: hit.edge };
      this.stale = true;
      this.paint.now();
    }
    this.events.hover(hit, at);
  }
}

function keptPlaces(): Map<string, Point> {
  const places = new Map<string, Point>();
  const raw = kept(PLACES);
  if (typeof raw !== 'object' || raw === null) return places;
  for (const [id, v] of Object.entries(raw as Record<string, unknown>)) {
    if (Array.isArray(v) && typeof v[0] === 'number' && typeof v[1] === 'number') places.set(id, { x: v[0], y: v[1] });
  }
  return places;
}

function keepPlaces(places: ReadonlyMap<string, Point>): void {
  // Nodes long gone keep their place for their return, up to a bound; the oldest are forgotten first.
  const entries = [...places].slice(-MAX_KEPT_PLACES);
  keep(PLACES, Object.fromEntries(entries.map(([id, p]) => [id, [p.x, p.y]])));
}

function keptCamera(): View | undefined {
  const v = kept(CAMERA) as Partial<View> | undefined;
  return typeof v?.x === 'number' && typeof v.y === 'number' && typeof v.zoom === 'number' && v.zoom > 0
    ? { x: v.x, y: v.y, zoom: v.zoom }
    : undefined;
}
