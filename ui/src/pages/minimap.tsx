import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { clamp } from '../base/geometry';
import type { MapView } from '../graph/view';
import { blameOf, troubleIn, type Trouble } from '../model/trouble';
import { theme } from '../widgets/theme';
import { onGraphChange } from './live';

/** The colours of troubles, by their names in tokens.css. */
const TOKENS: Readonly<Record<Trouble, string>> = {
  slow: 'degraded',
  failing: 'failing',
  throttled: 'throttled',
  cut_off: 'cutoff',
};
const WIDTH = 168;
const HEIGHT = 104;
const PAD = 5;

/** The whole map in small, with a frame around what is seen; a press goes there. For the eye and the pointer: keys have their own ways. */
export function MiniMap(p: { view: { current: MapView | undefined }; moved: Set<() => void> }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const draw = (): void => {
      const v = p.view.current;
      const pen = canvas.current?.getContext('2d');
      const b = v?.bounds();
      if (v === undefined || b === undefined || pen === null || pen === undefined) return;
      const style = getComputedStyle(document.documentElement);
      const color = (name: string): string => style.getPropertyValue(`--${name}`);
      const s = scaleOf(b);
      const at = (x: number, y: number): [number, number] => [PAD + (x - b.x) * s, PAD + (y - b.y) * s];
      // Where all is in view, it would show what is seen anyway.
      const { view, width, height } = v.camera;
      const all =
        b.x >= view.x - width / view.zoom / 2 &&
        b.x + b.w <= view.x + width / view.zoom / 2 &&
        b.y >= view.y - height / view.zoom / 2 &&
        b.y + b.h <= view.y + height / view.zoom / 2;
      if (canvas.current !== null) canvas.current.hidden = all;
      if (all) return;
      pen.clearRect(0, 0, WIDTH, HEIGHT);
      const { places, rects } = v.standing;
      for (const n of v.model.nodes.values()) {
        const { part } = blameOf(n);
        const bad = part === 'culprit' || part === 'accused';
        pen.fillStyle = color(bad ? TOKENS[troubleIn(n, '10s') ?? 'failing'] : part === 'victim' ? 'victim' : 'idle');
        const r = rects.get(n.id);
        const point = places.get(n.id);
        if (r !== undefined && n.group?.open !== true)
          pen.fillRect(...at(r.x, r.y), Math.max(2, r.w * s), Math.max(2, r.h * s));
        else if (r === undefined && point !== undefined)
          pen.fillRect(...at(point.x, point.y), bad ? 4 : 2, bad ? 4 : 2);
      }
      const [x0, y0] = at(view.x - width / view.zoom / 2, view.y - height / view.zoom / 2);
      const [x1, y1] = at(view.x + width / view.zoom / 2, view.y + height / view.zoom / 2);
      const left = clamp(x0, 1, WIDTH - 1);
      const top = clamp(y0, 1, HEIGHT - 1);
      pen.strokeStyle = color('accent');
      pen.strokeRect(left, top, clamp(x1, 1, WIDTH - 1) - left, clamp(y1, 1, HEIGHT - 1) - top);
    };
    // At most once in a quarter of a second: it is looked at, not followed.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined;
        draw();
      }, 250);
    };
    draw();
    p.moved.add(soon);
    const off = onGraphChange(soon);
    return () => {
      clearTimeout(timer);
      p.moved.delete(soon);
      off();
    };
  }, [theme.value]);
  return (
    <canvas
      ref={canvas}
      class="minimap"
      hidden
      width={WIDTH}
      height={HEIGHT}
      aria-hidden="true"
      onClick={(e) => {
        const v = p.view.current;
        const b = v?.bounds();
        if (v === undefined || b === undefined) return;
        const s = scaleOf(b);
        v.lookAt({ x: b.x + (e.offsetX - PAD) / s, y: b.y + (e.offsetY - PAD) / s });
      }}
    />
  );
}

function scaleOf(b: { w: number; h: number }): number {
  return Math.min((WIDTH - 2 * PAD) / Math.max(1, b.w), (HEIGHT - 2 * PAD) / Math.max(1, b.h));
}
