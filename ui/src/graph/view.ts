import type { Point, Rect } from '../base/geometry';
import { onFrame, type PaintHandle } from '../base/frames';
import type { GraphDiff } from '../api/timetypes';
import { diffMarks } from '../model/diff';
import type { Change, GraphModel } from '../model/graph';
import { AREA_MARGIN } from './area';
import { Arranger } from './arranger';
import { Camera, type View } from './camera';
import type { Arrangement } from './layout.worker';
import { rememberCamera, rememberedCamera } from './memory';
import { boundsOf, hitAt, nodeTowards, standsIn, type Hit } from './pick';
import { PointerInput } from './pointer';
import { Renderer, type Palette } from './renderer';
import type { Looks } from './ink';
import type { Box } from './labels';
import { Scene } from './scene';
import { openGroups, OPEN_ZOOM } from './unfold';

// The map as one object, of parts that know nothing of one another: the arranger says where things stand, the scene what
// is drawn, the renderer draws, the camera says what is seen, the pointer what the user wants. It knows no framework: the
// page gives it a model and hears of selections. It paints only when something changed or moves (base/frames).

export type { Hit } from './pick';

export interface MapEvents {
  select: (hit: Hit) => void;
  open: (hit: Hit) => void;
  hover: (hit: Hit, at: Point) => void;
  /** After each frame in which the camera moved or the map's shape changed. */
  moved: () => void;
  /** These groups are looked at so closely that their members should be shown, and no others. */
  unfold: (groups: readonly string[]) => void;
  /** The graphics driver gave up on this canvas; only a new MapView draws again. */
  lost: () => void;
}

/** Dots are placed by the seconds since an epoch, which moves on now and then: floats of a shader are exact near zero only. */
const EPOCH_SECONDS = 1800;
/** While the map is dragged or flies, its figures are drawn anew at most this often. */
const FIGURES_WAIT_MS = 1000;
/** A map that was not moved for so long is at rest: words are placed anew, and groups fold and unfold. */
const REST_MS = 200;
/** Milliseconds of a build for new words: few just after the map was moved, for it may move on. */
const WORDS_MS = { moved: 2, still: 24 } as const;

export class MapView {
  readonly camera = new Camera();
  /** Room that panels take from the map, in CSS pixels. */
  inset = { left: 60, right: 60, top: 70, bottom: 110 };
  /** What stands in the lower left corner, above the inset's foot: width and height that a map brought into view keeps clear of. */
  corner = { w: 0, h: 0, foot: 74 };
  private readonly canvas: HTMLCanvasElement;
  private readonly renderer: Renderer;
  private readonly scene = new Scene();
  private readonly arranger: Arranger;
  private readonly pointer: PointerInput;
  private readonly paint: PaintHandle;
  private readonly resizing: ResizeObserver;
  private readonly reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
  private looks: Looks = {
    selectedNode: undefined,
    selectedEdge: undefined,
    hoverNode: undefined,
    hoverEdge: undefined,
    focus: undefined,
    window: '10s',
    edgeLabels: false,
    hideHealthy: false,
    diff: undefined,
  };
  /** The scene's buffers are older than the model, the looks or the places. */
  private stale = true;
  /** Something in the scene moves by itself. */
  private moving = false;
  /** The whole map was brought into view once, or the user's own view of it is known. */
  private fitted: boolean;
  private epoch = performance.now();
  private seconds = 0;
  private builtAt = 0;
  private movedAt = -1e9;
  private cameraTimer: ReturnType<typeof setTimeout> | undefined;
  private unfolded = '';
  private sought: string | undefined;
  private compared: GraphDiff | undefined;

  constructor(
    private readonly host: HTMLElement,
    readonly model: GraphModel,
    private palette: Palette,
    private readonly events: MapEvents,
  ) {
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'map-canvas';
    host.append(this.canvas);
    this.renderer = new Renderer(this.canvas);
    this.canvas.addEventListener('webglcontextlost', events.lost);
    const camera = rememberedCamera();
    this.fitted = camera !== undefined;
    if (camera !== undefined) this.camera.view = camera;
    this.arranger = new Arranger(
      model,
      (a) => this.arranged(a),
      () => this.host.clientWidth / Math.max(1, this.host.clientHeight),
    );
    this.pointer = new PointerInput(this.canvas, {
      zoom: (at, factor) => {
        this.camera.zoomAt(at, factor);
        this.cameraMoved();
      },
      pan: (dx, dy) => this.panBy(dx, dy),
      hover: (at) => this.hover(at),
      click: (at) => events.select(this.hit(at)),
      doubleClick: (at) => events.open(this.hit(at)),
    });
    this.paint = onFrame((t) => this.frame(t));
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(host);
    this.resize();
    this.arranger.ask();
  }

  dispose(): void {
    this.canvas.removeEventListener('webglcontextlost', this.events.lost);
    this.pointer.dispose();
    this.resizing.disconnect();
    this.paint.dispose();
    this.arranger.dispose();
    clearTimeout(this.cameraTimer);
    this.renderer.dispose();
    this.canvas.remove();
  }

  /** Shows what is not as it was in another time, and all else more faintly; undefined shows all alike. */
  compare(d: GraphDiff | undefined): void {
    this.compared = d;
    this.setLooks({ diff: d === undefined ? undefined : diffMarks(d, this.model) });
  }

  /** The model changed. */
  changed(change: Change): void {
    if (change.shape) this.arranger.ask();
    // What was folded away may be shown now.
    if (change.shape && this.compared !== undefined) this.compare(this.compared);
    this.refresh();
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
    return boundsOf(this.scene.places, this.scene.rects, ids);
  }

  /** The node that the arrow keys go to. */
  neighbour(from: string | undefined, dx: number, dy: number): string | undefined {
    const middle = this.camera.toWorld({ x: this.camera.width / 2, y: this.camera.height / 2 });
    return nodeTowards(this.scene.places, from, middle, dx, dy);
  }

  hit(at: Point): Hit {
    return hitAt(this.camera.toWorld(at), this.camera.view.zoom, this.scene, this.model.nodes, this.looks.window);
  }

  /** Brings all nodes, or some, into view. */
  fit(ids?: Iterable<string>, flying = true): void {
    const b = this.bounds(ids);
    if (b === undefined) return;
    const view = this.clearView(b, ids === undefined ? 1.15 : 1.3);
    this.camera.flyTo(view, performance.now(), !flying || this.still);
    this.moving = true;
    this.paint.now();
  }

  /** The nearest view that shows a rectangle whole and keeps all of it out of the corner: as it is, or moved right, or up. */
  private clearView(b: Rect, most: number): View {
    const { inset, corner, camera } = this;
    const whole = camera.fitView(b, inset, most);
    if (corner.w === 0) return whole;
    const high = camera.height - corner.foot;
    const taken = (v: View): boolean => {
      const at = (x: number, y: number): Point => ({
        x: (x - camera.width / 2) / v.zoom + v.x,
        y: (y - camera.height / 2) / v.zoom + v.y,
      });
      const from = at(0, high - corner.h);
      const to = at(corner.w, high);
      return standsIn(this.scene, { x: from.x, y: from.y, w: to.x - from.x, h: to.y - from.y });
    };
    if (!taken(whole)) return whole;
    const right = camera.fitView(b, { ...inset, left: Math.max(inset.left, corner.w + 12) }, most);
    const up = camera.fitView(b, { ...inset, bottom: corner.foot + corner.h + 12 }, most);
    return up.zoom > right.zoom ? up : right;
  }

  flyTo(id: string): void {
    const p = this.scene.places.get(id);
    if (p === undefined) return;
    const rect = this.scene.rects.get(id);
    if (rect !== undefined) {
      // So near that the group unfolds.
      const whole = this.camera.fitView(rect, this.inset, 1);
      this.camera.flyTo({ ...whole, zoom: Math.max(whole.zoom, OPEN_ZOOM * 1.1) }, performance.now(), this.still);
      this.moving = true;
      this.paint.now();
      return;
    }
    const zoom = Math.max(this.camera.view.zoom, 0.9);
    const shift = (this.inset.right - this.inset.left) / 2 / zoom;
    this.camera.flyTo({ x: p.x + shift, y: p.y, zoom }, performance.now(), this.still);
    this.moving = true;
    this.paint.now();
  }

  /** Brings a node out from under a panel, without moving the map more than it must. */
  reveal(id: string): void {
    const p = this.scene.places.get(id);
    // It may be folded away: then the map goes there when it is unfolded.
    this.sought = p === undefined ? id : undefined;
    if (p === undefined) return;
    if (this.scene.rects.size > 0 && !this.scene.rects.has(id) && this.camera.view.zoom < OPEN_ZOOM) {
      this.flyTo(id);
      return;
    }
    const s = this.camera.toScreen(p);
    const { left, right, top, bottom } = this.inset;
    if (s.x > left && s.x < this.camera.width - right && s.y > top && s.y < this.camera.height - bottom) return;
    this.flyTo(id);
  }

  /** Brings a point of the world to the middle. */
  lookAt(p: Point): void {
    this.camera.flyTo({ ...this.camera.view, ...p }, performance.now(), this.still);
    this.cameraMoved();
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
    this.fitted = false;
    this.arranger.forget();
    this.refresh();
  }

  /** The boxes of the words and badges that are shown, in CSS pixels of the canvas: what tests measure, as the map came to rest. */
  boxes(): Box[] {
    const { width, height } = this.camera;
    return this.scene.labels.shown.map((b) => ({ ...b, x: b.x + width / 2, y: b.y + height / 2 }));
  }

  /** The same of what words may not cover: nodes, and groups that are folded. */
  things(): Box[] {
    const { width, height } = this.camera;
    return this.scene.labels.solid.map((b) => ({ ...b, x: b.x + width / 2, y: b.y + height / 2 }));
  }

  /** The places of all nodes and the rectangles of all groups, for the small map. */
  get standing(): { places: ReadonlyMap<string, Point>; rects: ReadonlyMap<string, Rect> } {
    return { places: this.scene.places, rects: this.scene.rects };
  }

  private get still(): boolean {
    return this.reducedMotion.matches;
  }

  private refresh(): void {
    this.stale = true;
    // Deltas come four times a second; they ride on the frames that the dots ask for anyway.
    if (this.moving) this.paint.ambient();
    else this.paint.now();
  }

  private arranged(a: Arrangement): void {
    this.scene.setArrangement(new Map(a.places), new Map(a.curves), a.areas, new Map(a.rects));
    const all = this.bounds();
    if (all !== undefined) this.camera.reach(all);
    this.renderer.setAreas(a.areas);
    this.stale = true;
    // What the pointer was on may have unfolded under it.
    this.hover(undefined);
    if (!this.fitted && a.places.length > 0) {
      this.fitted = true;
      this.fit(undefined, false);
    }
    this.paint.now();
    this.events.moved();
    if (this.sought !== undefined && this.scene.places.has(this.sought)) {
      this.flyTo(this.sought);
      this.sought = undefined;
    } else this.unfold();
  }

  private resize(): void {
    this.pointer.measure();
    this.camera.width = this.host.clientWidth;
    this.camera.height = this.host.clientHeight;
    const ratio = Math.min(2, devicePixelRatio);
    if (this.renderer.resize(this.camera.width, this.camera.height, ratio)) {
      this.renderer.atlas.clear(ratio);
      this.stale = true;
    }
    this.paint.now();
    this.events.moved();
  }

  private frame(time: number): void {
    this.tick(time);
    const flying = this.camera.step(time);
    const inHand = flying || this.pointer.dragging;
    // While the user or a flight moves the map, figures wait: a frame is then draw calls only.
    if (this.stale && (time - this.builtAt > FIGURES_WAIT_MS || !inHand)) {
      this.stale = false;
      this.builtAt = time;
      const { view, width: w, height: h } = this.camera;
      const words = inHand ? 0 : time - this.movedAt < 1000 ? WORDS_MS.moved : WORDS_MS.still;
      const built = this.scene.build(
        ...([this.model, this.looks, this.palette, this.renderer, view, { w, h }, this.seconds, words] as const),
      );
      this.moving = built.moves && !this.still;
      if (built.waiting && !inHand) this.refresh();
    }
    const areaDim = this.looks.focus === undefined ? 1 : 0.55;
    this.renderer.draw(this.camera.view, this.seconds, this.palette, AREA_MARGIN, areaDim);
    if (flying) this.cameraMoved();
    else if (this.moving || this.stale) this.paint.ambient();
  }

  /** Moves the dots' clock on. */
  private tick(time: number): void {
    if (!this.still) this.seconds = (time - this.epoch) / 1000;
    if (this.seconds <= EPOCH_SECONDS) return;
    this.scene.rebase(this.seconds);
    this.epoch = time;
    this.seconds = 0;
    this.stale = true;
  }

  private cameraMoved(): void {
    this.movedAt = performance.now();
    clearTimeout(this.cameraTimer);
    this.cameraTimer = setTimeout(() => this.rest(), REST_MS);
    this.paint.now();
    this.events.moved();
  }

  private rest(): void {
    rememberCamera(this.camera.view);
    this.refresh();
    this.unfold();
  }

  private unfold(): void {
    const { rects } = this.scene;
    if (rects.size === 0) return;
    const groups = [...rects].flatMap(([id, rect]) => {
      const g = this.model.nodes.get(id)?.group;
      return g === undefined ? [] : [{ id, rect, members: g.members, open: g.open }];
    });
    const { view, width, height } = this.camera;
    const open = openGroups(groups, view.zoom, view, { w: width, h: height });
    if (open.join('\n') === this.unfolded) return;
    this.unfolded = open.join('\n');
    this.events.unfold(open);
  }

  private hover(at: Point | undefined): void {
    const hit = at === undefined ? {} : this.hit(at);
    this.canvas.style.cursor = hit.node === undefined && hit.edge === undefined ? '' : 'pointer';
    if (hit.node !== this.looks.hoverNode || hit.edge !== this.looks.hoverEdge) {
      this.looks = { ...this.looks, hoverNode: hit.node, hoverEdge: hit.edge };
      this.stale = true;
      this.paint.now();
    }
    this.events.hover(hit, at ?? { x: 0, y: 0 });
  }
}
