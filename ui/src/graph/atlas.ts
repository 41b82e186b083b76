// Words and badges as pictures on one texture. Each is drawn once with the 2D canvas at the device's resolution, in
// the theme's colours; the map then only moves quads. When the texture is full it is emptied and `generation` rises:
// whoever holds regions asks again.

export interface Region {
  /** Texture coordinates: left, top, right, bottom. */
  uv: readonly [number, number, number, number];
  /** Size in CSS pixels. */
  w: number;
  h: number;
}

export interface Ink {
  font: string;
  color: string;
  /** Colour of the rim that keeps the words legible over lines. */
  rim?: string;
  spacing?: string;
  /** Badge: rounded plate behind the words. */
  plate?: string;
  icon?: Icon;
}

export type Icon = 'lock' | 'unlock' | 'gate' | 'spike' | 'clock' | 'cut' | 'glass';

const SIZE = 2048;
const PAD = 1;
const MAX_SIZES = 20_000;

export class Atlas {
  generation = 0;
  private readonly scratch: HTMLCanvasElement;
  private readonly pen: CanvasRenderingContext2D;
  private readonly regions = new Map<string, Region>();
  private readonly sizes = new Map<string, { w: number; h: number }>();
  private x = 0;
  private y = 0;
  private shelf = 0;

  constructor(
    private readonly upload: (x: number, y: number, image: HTMLCanvasElement) => void,
    private dpr: number,
  ) {
    this.scratch = document.createElement('canvas');
    const pen = this.scratch.getContext('2d', { willReadFrequently: true });
    if (pen === null) throw new Error('this browser gives no 2D canvas');
    this.pen = pen;
  }

  static readonly size = SIZE;

  clear(dpr = this.dpr): void {
    this.dpr = dpr;
    this.regions.clear();
    this.sizes.clear();
    this.x = this.y = this.shelf = 0;
    this.generation++;
  }

  has(words: string, ink: Ink): boolean {
    return this.regions.has(keyOf(words, ink));
  }

  /** How large words will be, without drawing them. */
  size(words: string, ink: Ink): { w: number; h: number } {
    const key = `${ink.font}|${ink.plate === undefined ? '' : 'p'}|${ink.icon === undefined ? '' : 'i'}|${words}`;
    const known = this.sizes.get(key);
    if (known !== undefined) return known;
    this.pen.font = ink.font;
    this.pen.letterSpacing = ink.spacing ?? '0px';
    const { w, h } = measure(this.pen, words, ink, this.dpr);
    if (this.sizes.size > MAX_SIZES) this.sizes.clear();
    this.sizes.set(key, { w, h });
    return { w, h };
  }

  get(words: string, ink: Ink): Region {
    const key = keyOf(words, ink);
    const known = this.regions.get(key);
    if (known !== undefined) return known;
    const size = this.draw(words, ink);
    const w = this.scratch.width;
    const h = this.scratch.height;
    if (this.x + w + PAD > SIZE) {
      this.x = 0;
      this.y += this.shelf + PAD;
      this.shelf = 0;
    }
    if (this.y + h > SIZE) this.clear();
    this.upload(this.x, this.y, this.scratch);
    const region: Region = {
      uv: [this.x / SIZE, this.y / SIZE, (this.x + w) / SIZE, (this.y + h) / SIZE],
      w: size.w,
      h: size.h,
    };
    this.x += w + PAD;
    this.shelf = Math.max(this.shelf, h);
    this.regions.set(key, region);
    return region;
  }

  private draw(words: string, ink: Ink): { w: number; h: number } {
    const p = this.pen;
    const setUp = (): void => {
      p.font = ink.font;
      p.letterSpacing = ink.spacing ?? '0px';
      p.textBaseline = 'alphabetic';
    };
    setUp();
    const { w, h, px, margin, icon } = measure(p, words, ink, this.dpr);
    this.scratch.width = Math.ceil(w * this.dpr);
    this.scratch.height = Math.ceil(h * this.dpr);
    p.scale(this.dpr, this.dpr);
    setUp();
    if (ink.plate !== undefined) {
      p.fillStyle = ink.plate;
      p.beginPath();
      p.roundRect(0.5, 0.5, w - 1, h - 1, h / 2);
      p.fill();
      if (ink.rim !== undefined) {
        p.strokeStyle = ink.rim;
        p.lineWidth = 1;
        p.stroke();
      }
    }
    const base = h / 2 + px * 0.35;
    if (ink.icon !== undefined) drawIcon(p, ink.icon, margin, h / 2, px, ink);
    if (words !== '') {
      if (ink.plate === undefined && ink.rim !== undefined) {
        p.strokeStyle = ink.rim;
        p.lineWidth = 3;
        p.lineJoin = 'round';
        p.strokeText(words, margin + icon, base);
      }
      p.fillStyle = ink.color;
      p.fillText(words, margin + icon, base);
    }
    return { w: this.scratch.width / this.dpr, h: this.scratch.height / this.dpr };
  }
}

function keyOf(words: string, ink: Ink): string {
  return `${ink.font}|${ink.color}|${ink.rim ?? ''}|${ink.plate ?? ''}|${ink.icon ?? ''}|${words}`;
}

/** The size of a picture and of its parts; the pen has the font. */
function measure(
  p: CanvasRenderingContext2D,
  words: string,
  ink: Ink,
  dpr: number,
): { w: number; h: number; px: number; margin: number; icon: number } {
  const px = Number(/(\d+(\.\d+)?)px/.exec(ink.font)?.[1] ?? 12);
  const margin = ink.plate !== undefined ? 6 : 3;
  const icon = ink.icon === undefined ? 0 : px + (words === '' ? 0 : 3);
  const text = words === '' ? 0 : p.measureText(words).width;
  return {
    w: Math.min(SIZE / dpr - 2, Math.ceil(text + icon + margin * 2)),
    h: Math.ceil(px * 1.2 + 4),
    px,
    margin,
    icon,
  };
}

function drawIcon(p: CanvasRenderingContext2D, icon: Icon, x: number, cy: number, px: number, ink: Ink): void {
  const s = px / 12;
  p.save();
  p.translate(x + px / 2, cy);
  p.scale(s, s);
  p.lineWidth = 1.4;
  p.lineCap = 'round';
  p.lineJoin = 'round';
  p.strokeStyle = ink.color;
  p.fillStyle = ink.color;
  p.beginPath();
  if (icon === 'lock' || icon === 'unlock') {
    p.roundRect(-3.6, -0.6, 7.2, 5.4, 1.2);
    p.fill();
    p.beginPath();
    if (icon === 'lock') p.arc(0, -1.4, 2.3, Math.PI, 0);
    else p.arc(2.2, -1.8, 2.3, Math.PI, -0.3);
    p.lineTo(icon === 'lock' ? 2.3 : 4.3, -0.6);
    p.moveTo(-2.3 + (icon === 'lock' ? 0 : 2.2), -1.4);
    p.lineTo(-2.3 + (icon === 'lock' ? 0 : 2.2), -0.6);
    p.stroke();
  } else if (icon === 'clock') {
    p.arc(0, 0, 4.4, 0, Math.PI * 2);
    p.moveTo(0, -2.6);
    p.lineTo(0, 0);
    p.lineTo(2, 1.2);
    p.stroke();
  } else if (icon === 'glass') {
    p.arc(-0.8, -0.8, 3.2, 0, Math.PI * 2);
    p.moveTo(1.7, 1.7);
    p.lineTo(4.4, 4.4);
    p.stroke();
  } else if (icon === 'gate') {
    for (let k = 0; k < 8; k++)
      p.lineTo(4.7 * Math.cos(((k + 0.5) * Math.PI) / 4), 4.7 * Math.sin(((k + 0.5) * Math.PI) / 4));
    p.closePath();
    p.moveTo(-2.2, 0);
    p.lineTo(2.2, 0);
    p.stroke();
  } else if (icon === 'cut') {
    p.moveTo(0, -5);
    p.lineTo(5, 0);
    p.lineTo(0, 5);
    p.lineTo(-5, 0);
    p.closePath();
    p.moveTo(-2.1, 0);
    p.lineTo(-1, 0);
    p.moveTo(1, 0);
    p.lineTo(2.1, 0);
    p.stroke();
  } else {
    p.moveTo(0, -4.6);
    p.lineTo(4.8, 3.8);
    p.lineTo(-4.8, 3.8);
    p.closePath();
    p.moveTo(0, -1.4);
    p.lineTo(0, 1);
    p.moveTo(0, 2.5);
    p.lineTo(0, 2.6);
    p.stroke();
  }
  p.restore();
}
