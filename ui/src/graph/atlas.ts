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

export type Icon = 'lock' | 'unlock' | 'gate' | 'spike';

const SIZE = 2048;
const PAD = 1;

export class Atlas {
  generation = 0;
  private readonly scratch: HTMLCanvasElement;
  private readonly pen: CanvasRenderingContext2D;
  private readonly regions = new Map<string, Region>();
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
    this.x = this.y = this.shelf = 0;
    this.generation++;
  }

  get(words: string, ink: Ink): Region {
    const key = `${ink.font}|${ink.color}|${ink.rim ?? ''}|${ink.plate ?? ''}|${ink.icon ?? ''}|${words}`;
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
    const m = words === '' ? undefined : p.measureText(words);
    const px = Number(/(\d+(\.\d+)?)px/.exec(ink.font)?.[1] ?? 12);
    const margin = ink.plate !== undefined ? 6 : 3;
    const icon = ink.icon === undefined ? 0 : px + (words === '' ? 0 : 3);
    const w = Math.min(SIZE / this.dpr - 2, Math.ceil((m?.width ?? 0) + icon + margin * 2));
    const h = Math.ceil(px * 1.2 + (ink.plate !== undefined ? 4 : 4));
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
  } else if (icon === 'gate') {
    p.arc(0, 0, 4.4, 0, Math.PI * 2);
    p.moveTo(-2.2, 0);
    p.lineTo(2.2, 0);
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
