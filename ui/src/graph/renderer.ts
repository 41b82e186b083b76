import type { RGBA } from '../base/color';
import { Atlas } from './atlas';
import type { View } from './camera';
import type { Area } from './area';
import * as glsl from './shaders';

// Draws the map with WebGL 2, out of one buffer for each kind of thing: edges, dots, nodes, words. A frame binds them and
// draws; they are filled again only when the scene changes. A lost context is rebuilt by making a new Renderer.

export interface Palette {
  backdrop: RGBA;
  grid: RGBA;
  area: RGBA;
  outline: RGBA;
  fringe: RGBA;
  ink: RGBA;
  ink2: RGBA;
  ink3: RGBA;
  ok: RGBA;
  degraded: RGBA;
  failing: RGBA;
  throttled: RGBA;
  cutoff: RGBA;
  victim: RGBA;
  idle: RGBA;
  accent: RGBA;
  node: RGBA;
  gauge: RGBA;
}

/** Floats an instance, of the layers from the lowest to the highest. */
export const STRIDE = { ground: 16, ribbon: 16, dot: 16, box: 16, node: 20, sprite: 12 } as const;
export type Layer = keyof typeof STRIDE;

interface Batch {
  program: WebGLProgram;
  vao: WebGLVertexArrayObject;
  buffer: WebGLBuffer;
  count: number;
  vertices: number;
  uniforms: Map<string, WebGLUniformLocation>;
}

interface DrawnArea {
  area: Area;
  texture: WebGLTexture;
}

const SEGMENTS = 28;
/** Of how many pieces a curve is where there are many. */
const FEW_SEGMENTS = 12;
const MANY_RIBBONS = 500;

export class Renderer {
  readonly atlas: Atlas;
  private readonly gl: WebGL2RenderingContext;
  private readonly batches: Record<Layer, Batch>;
  private readonly line: Batch;
  private readonly lines = new Float32Array(4 * 256);
  private readonly area: Batch;
  private readonly atlasTexture: WebGLTexture;
  private areas: DrawnArea[] = [];
  private dpr = 1;
  private width = 1;
  private height = 1;

  constructor(private readonly canvas: HTMLCanvasElement) {
    const gl = canvas.getContext('webgl2', {
      antialias: false,
      alpha: false,
      depth: false,
      stencil: false,
      powerPreference: 'low-power',
    });
    if (gl === null) throw new Error('the map needs WebGL 2, which this browser or its graphics driver does not offer');
    this.gl = gl;
    const quad = new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]);
    const strip = new Float32Array((SEGMENTS + 1) * 4);
    for (let i = 0; i <= SEGMENTS; i++) strip.set([i / SEGMENTS, -1, i / SEGMENTS, 1], i * 4);
    this.line = this.batch(glsl.LINE_VS, glsl.LINE_FS, 'a_vertex', quad, ['a_line']);
    this.area = this.batch(glsl.AREA_VS, glsl.AREA_FS, 'a_corner', quad, []);
    const boxes = (): Batch =>
      this.batch(glsl.BOX_VS, glsl.BOX_FS, 'a_vertex', quad, ['a_rect', 'a_fill', 'a_ring', 'a_state']);
    this.batches = {
      ground: boxes(),
      box: boxes(),
      ribbon: this.batch(glsl.RIBBON_VS, glsl.RIBBON_FS, 'a_vertex', strip, ['a_c0', 'a_c1', 'a_style', 'a_color']),
      dot: this.batch(glsl.DOT_VS, glsl.DOT_FS, 'a_vertex', quad, ['a_c0', 'a_c1', 'a_motion', 'a_color']),
      node: this.batch(glsl.NODE_VS, glsl.NODE_FS, 'a_vertex', quad, [
        'a_place',
        'a_fill',
        'a_ring',
        'a_state',
        'a_extra',
      ]),
      sprite: this.batch(glsl.SPRITE_VS, glsl.SPRITE_FS, 'a_vertex', quad, ['a_anchor', 'a_box', 'a_uv']),
    };
    this.atlasTexture = this.newTexture();
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA8, Atlas.size, Atlas.size);
    this.atlas = new Atlas((x, y, image) => {
      gl.bindTexture(gl.TEXTURE_2D, this.atlasTexture);
      gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, x, y, gl.RGBA, gl.UNSIGNED_BYTE, image);
      gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    }, devicePixelRatio);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Fits the drawing buffer to the element; true when the pixel ratio changed, so that words must be drawn anew. */
  resize(width: number, height: number, dpr: number): boolean {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    const w = Math.round(this.width * dpr);
    const h = Math.round(this.height * dpr);
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
    }
    this.gl.viewport(0, 0, w, h);
    const changed = dpr !== this.dpr;
    this.dpr = dpr;
    return changed;
  }

  fill(layer: Layer, data: Float32Array, count: number): void {
    const { gl } = this;
    const b = this.batches[layer];
    gl.bindBuffer(gl.ARRAY_BUFFER, b.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data.subarray(0, count * STRIDE[layer]), gl.DYNAMIC_DRAW);
    b.count = count;
  }

  setAreas(areas: readonly Area[]): void {
    const { gl } = this;
    for (const a of this.areas) gl.deleteTexture(a.texture);
    this.areas = areas.map((area) => {
      const texture = this.newTexture();
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16F, area.cols, area.rows, 0, gl.RED, gl.FLOAT, area.field);
      return { area, texture };
    });
  }

  draw(view: View, seconds: number, p: Palette, areaMargin: number, areaDim: number): void {
    const { gl } = this;
    const use = (b: Batch): void => {
      gl.useProgram(b.program);
      gl.bindVertexArray(b.vao);
      gl.uniform4f(at(b, 'u_view'), view.x, view.y, view.zoom, this.dpr);
      gl.uniform2f(at(b, 'u_size'), this.width, this.height);
      gl.uniform1f(at(b, 'u_time'), seconds);
    };
    const color = (b: Batch, name: string, c: RGBA): void => gl.uniform4f(at(b, name), c[0], c[1], c[2], c[3]);

    // Cleared, not shaded: where a page is drawn without a GPU, a shader over every pixel is most of the frame.
    gl.clearColor(p.backdrop[0], p.backdrop[1], p.backdrop[2], 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.grid(view);
    use(this.line);
    color(this.line, 'u_line', p.grid);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.line.count);

    use(this.area);
    color(this.area, 'u_area', p.area);
    color(this.area, 'u_outline', p.outline);
    color(this.area, 'u_fringe', p.fringe);
    gl.uniform1f(at(this.area, 'u_level'), areaMargin);
    gl.uniform1f(at(this.area, 'u_dim'), areaDim);
    for (const { area: a, texture } of this.areas) {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.uniform4f(at(this.area, 'u_rect'), a.x, a.y, (a.cols - 1) * a.step, (a.rows - 1) * a.step);
      gl.uniform2f(at(this.area, 'u_cells'), a.cols, a.rows);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }

    const instances = (b: Batch): void => {
      if (b.count > 0) gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, b.vertices, b.count);
    };
    const { ground, ribbon, dot, box, node, sprite } = this.batches;
    const boxes = (b: Batch): void => {
      if (b.count === 0) return;
      use(b);
      color(b, 'u_accent', p.accent);
      instances(b);
    };
    boxes(ground);
    use(ribbon);
    const pieces = ribbon.count > MANY_RIBBONS ? FEW_SEGMENTS : SEGMENTS;
    gl.uniform1f(at(ribbon, 'u_stretch'), SEGMENTS / pieces);
    if (ribbon.count > 0) gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, (pieces + 1) * 2, ribbon.count);
    use(dot);
    instances(dot);
    boxes(box);
    use(node);
    color(node, 'u_failing', p.failing);
    color(node, 'u_throttled', p.throttled);
    color(node, 'u_accent', p.accent);
    color(node, 'u_backdrop', p.backdrop);
    color(node, 'u_gauge', p.gauge);
    instances(node);
    use(sprite);
    gl.bindTexture(gl.TEXTURE_2D, this.atlasTexture);
    instances(sprite);
    gl.bindVertexArray(null);
  }

  /** Faint lines across and down, whose distance halves as the map is zoomed in. */
  private grid(view: View): void {
    const { gl, lines } = this;
    const level = Math.log2(Math.max(view.zoom, 0.05));
    const part = level - Math.floor(level);
    const mesh = 216 / 2 ** Math.floor(level);
    let n = 0;
    const add = (camera: number, size: number, horizontal: 0 | 1): void => {
      const half = size / 2 / view.zoom;
      for (let k = Math.ceil((camera - half) / mesh); k * mesh <= camera + half && n < 256; k++) {
        const px = (k * mesh - camera) * view.zoom;
        lines.set([Math.round(px * this.dpr) / this.dpr, horizontal, k % 2 === 0 ? 1 : part, 0], n * 4);
        n++;
      }
    };
    add(view.x, this.width, 0);
    add(view.y, this.height, 1);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.line.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, lines.subarray(0, n * 4), gl.DYNAMIC_DRAW);
    this.line.count = n;
  }

  dispose(): void {
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }

  private newTexture(): WebGLTexture {
    const { gl } = this;
    const t = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, t);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    return t;
  }

  private batch(
    vs: string,
    fs: string,
    vertexName: string,
    vertices: Float32Array<ArrayBuffer>,
    instanced: string[],
  ): Batch {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [type, source] of [
      [gl.VERTEX_SHADER, vs],
      [gl.FRAGMENT_SHADER, fs],
    ] as const) {
      const shader = gl.createShader(type);
      if (shader === null) throw new Error('the graphics context was lost');
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (gl.getShaderParameter(shader, gl.COMPILE_STATUS) !== true && !gl.isContextLost())
        throw new Error(`BUG: shader: ${gl.getShaderInfoLog(shader) ?? ''}`);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (gl.getProgramParameter(program, gl.LINK_STATUS) !== true && !gl.isContextLost())
      throw new Error(`BUG: shader: ${gl.getProgramInfoLog(program) ?? ''}`);
    const vao = gl.createVertexArray();
    gl.bindVertexArray(vao);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, vertices, gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, vertexName);
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    instanced.forEach((name, i) => {
      const loc = gl.getAttribLocation(program, name);
      if (loc < 0) return;
      gl.enableVertexAttribArray(loc);
      gl.vertexAttribPointer(loc, 4, gl.FLOAT, false, instanced.length * 16, i * 16);
      gl.vertexAttribDivisor(loc, 1);
    });
    gl.bindVertexArray(null);
    const uniforms = new Map<string, WebGLUniformLocation>();
    const n = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) as number;
    for (let i = 0; i < n; i++) {
      const name = gl.getActiveUniform(program, i)?.name;
      const loc = name === undefined ? null : gl.getUniformLocation(program, name);
      if (name !== undefined && loc !== null) uniforms.set(name, loc);
    }
    return { program, vao, buffer, count: 0, vertices: vertices.length / 2, uniforms };
  }
}

function at(b: Batch, name: string): WebGLUniformLocation | null {
  return b.uniforms.get(name) ?? null;
}
