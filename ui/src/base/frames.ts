// The one requestAnimationFrame scheduler. Painters ask for a frame; all that asked are painted in one frame, in
// the order in which they were registered. When nobody asks, no frame is scheduled and the page is idle.
//
// Ambient motion (the traffic dots) asks with `ambient`: it is painted at half the display's rate, so that a map
// left open all day costs half; anything a hand moves asks with `now` and gets every frame.

export type Paint = (time: number) => void;

interface Painter {
  paint: Paint;
  dirty: boolean;
  ambient: boolean;
  last: number;
}

/** Milliseconds between two ambient frames: 30 a second. A little less, so that a 60 Hz display meets every second frame. */
const AMBIENT_INTERVAL = 31;

const painters = new Set<Painter>();
let scheduled = 0;

function frame(time: number): void {
  scheduled = 0;
  for (const p of painters) {
    if (p.dirty || (p.ambient && time - p.last >= AMBIENT_INTERVAL)) {
      p.dirty = false;
      p.ambient = false;
      p.last = time;
      p.paint(time);
    }
  }
  for (const p of painters) {
    if (p.dirty || p.ambient) {
      schedule();
      break;
    }
  }
}

function schedule(): void {
  if (scheduled === 0) scheduled = requestAnimationFrame(frame);
}

export interface PaintHandle {
  /** Paint in the next frame. */
  now: () => void;
  /** Paint soon, at the ambient rate. */
  ambient: () => void;
  dispose: () => void;
}

export function onFrame(paint: Paint): PaintHandle {
  const p: Painter = { paint, dirty: false, ambient: false, last: 0 };
  painters.add(p);
  return {
    now: () => {
      p.dirty = true;
      schedule();
    },
    ambient: () => {
      p.ambient = true;
      schedule();
    },
    dispose: () => {
      painters.delete(p);
    },
  };
}
