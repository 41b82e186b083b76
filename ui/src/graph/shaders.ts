// GLSL of the map. World to screen happens here, so that a pan changes one uniform and nothing else; the dots travel
// here as well, as a function of time, so that moving traffic costs the main thread no arithmetic at all.

const COMMON = `#version 300 es
precision highp float;
uniform vec4 u_view;   // camera x, y, zoom, device pixel ratio
uniform vec2 u_size;   // CSS pixels
uniform float u_time;  // seconds
vec2 toPx(vec2 world) { return (world - u_view.xy) * u_view.z; }
vec4 clip(vec2 px) { return vec4(px / (u_size * 0.5) * vec2(1.0, -1.0), 0.0, 1.0); }
float nodeScale() { return clamp(u_view.z, 0.3, 1.5); }
`;

const BEZIER = `
vec2 bezier(vec4 a, vec4 b, float t) {
  float u = 1.0 - t;
  return u*u*u*a.xy + 3.0*u*u*t*a.zw + 3.0*u*t*t*b.xy + t*t*t*b.zw;
}
vec2 tangent(vec4 a, vec4 b, float t) {
  float u = 1.0 - t;
  vec2 d = u*u*(a.zw-a.xy) + 2.0*u*t*(b.xy-a.zw) + t*t*(b.zw-b.xy);
  return length(d) < 1e-4 ? vec2(1.0, 0.0) : normalize(d);
}
`;

export const LINE_VS = `${COMMON}
in vec2 a_vertex;
in vec4 a_line;                   // offset from the middle in px; 0 upright, 1 level; opacity
out float v_alpha;
void main() {
  v_alpha = a_line.z;
  vec2 along = a_vertex * u_size * 0.5;
  vec2 px = a_line.y < 0.5 ? vec2(a_line.x + a_vertex.x * 0.5, along.y) : vec2(along.x, a_line.x + a_vertex.y * 0.5);
  gl_Position = clip(px);
}`;

export const LINE_FS = `${COMMON}
in float v_alpha;
uniform vec4 u_line;
out vec4 color;
void main() { color = vec4(u_line.rgb, 1.0) * u_line.a * v_alpha; }`;

export const AREA_VS = `${COMMON}
in vec2 a_corner;
uniform vec4 u_rect;
out vec2 v_uv;
void main() {
  vec2 k = a_corner * 0.5 + 0.5;
  v_uv = k;
  gl_Position = clip(toPx(u_rect.xy + k * u_rect.zw));
}`;

export const AREA_FS = `${COMMON}
in vec2 v_uv;
uniform sampler2D u_field; uniform vec2 u_cells;
uniform vec4 u_area; uniform vec4 u_outline; uniform vec4 u_fringe;
uniform float u_level; uniform float u_dim;
out vec4 color;
float iso(float d, float at, float width) { return smoothstep(width + 0.6, width - 0.4, abs(d - at) * u_view.z); }
void main() {
  float d = texture(u_field, (v_uv * (u_cells - 1.0) + 0.5) / u_cells).r;
  // Most of the picture is far outside or well inside: nothing to compute there.
  if (d > u_level + 40.0 + 1.0 / u_view.z) discard;
  if (d < u_level - 2.0 / u_view.z) {
    color = vec4(u_area.rgb * u_area.a, u_area.a) * u_dim;
    return;
  }
  float inside = smoothstep(0.8, -0.8, (d - u_level) * u_view.z);
  vec4 c = vec4(u_area.rgb * u_area.a, u_area.a) * inside;
  // Outside, two tints and three lines, paler with distance.
  float s1 = smoothstep(0.8, -0.8, (d - u_level - 16.0) * u_view.z) * (1.0 - inside);
  float s2 = smoothstep(0.8, -0.8, (d - u_level - 38.0) * u_view.z) * (1.0 - inside);
  float tint = s1 * u_fringe.a * 0.30 + s2 * u_fringe.a * 0.22;
  c += vec4(u_fringe.rgb, 1.0) * tint;
  float l = iso(d, u_level, 0.6) * u_outline.a;
  c = c * (1.0 - l) + vec4(u_outline.rgb, 1.0) * l;
  float k = (iso(d, u_level + 16.0, 0.3) * 0.5 + iso(d, u_level + 38.0, 0.3) * 0.3) * u_outline.a;
  c = c * (1.0 - k) + vec4(u_outline.rgb, 1.0) * k;
  color = c * u_dim;
}`;

export const BOX_VS = `${COMMON}
in vec2 a_vertex;
in vec4 a_rect;                   // left, top, width, height in world units
in vec4 a_fill; in vec4 a_ring;
in vec4 a_state;                  // open, selected, halo, opacity
out vec2 v_p; out vec2 v_half; out vec4 v_fill; out vec4 v_ring; out vec4 v_state;
void main() {
  v_half = a_rect.zw * 0.5 * u_view.z;
  v_p = a_vertex * (v_half + 16.0);
  v_fill = a_fill; v_ring = a_ring; v_state = a_state;
  gl_Position = clip(toPx(a_rect.xy + a_rect.zw * 0.5) + v_p);
}`;

export const BOX_FS = `${COMMON}
in vec2 v_p; in vec2 v_half; in vec4 v_fill; in vec4 v_ring; in vec4 v_state;
uniform vec4 u_accent;
out vec4 color;
void main() {
  float round = min(10.0, min(v_half.x, v_half.y) * 0.4);
  vec2 q = abs(v_p) - v_half + round;
  float d = length(max(q, 0.0)) + min(max(q.x, q.y), 0.0) - round;
  if (d > 15.0) discard;
  vec4 c = vec4(v_ring.rgb, 1.0) * v_state.z * 0.35 * exp(-max(d, 0.0) / 5.0) * v_ring.a;
  float inside = smoothstep(0.7, -0.7, d) * v_fill.a;
  c = c * (1.0 - inside) + vec4(v_fill.rgb, 1.0) * inside;
  float thick = v_state.x > 0.5 ? 0.6 : 0.9 + 0.6 * v_state.z;
  float line = smoothstep(thick + 0.6, thick - 0.6, abs(d + thick)) * v_ring.a;
  c = c * (1.0 - line) + vec4(v_ring.rgb, 1.0) * line;
  float mark = smoothstep(1.8, 0.6, abs(d - 5.0)) * v_state.y;
  c = c * (1.0 - mark) + vec4(u_accent.rgb, 1.0) * mark;
  color = c * v_state.w;
}`;

export const RIBBON_VS = `${COMMON}${BEZIER}
in vec2 a_vertex;                 // t along, -1..1 across
in vec4 a_c0; in vec4 a_c1;
in vec4 a_style;                  // width px, glow, dashed, length in world units
in vec4 a_color;
uniform float u_stretch;          // all pieces of a curve over those that are drawn
out vec4 v_color; out vec3 v_across; out vec2 v_along;
void main() {
  float along = min(1.0, a_vertex.x * u_stretch);
  float w = a_style.x * clamp(u_view.z, 0.45, 1.3) * 0.5;
  float reach = w + 1.0 + a_style.y * 9.0;
  vec2 t = tangent(a_c0, a_c1, along);
  vec2 p = toPx(bezier(a_c0, a_c1, along)) + vec2(-t.y, t.x) * a_vertex.y * reach;
  v_across = vec3(a_vertex.y * reach, w, a_style.y);
  v_along = vec2(along * a_style.w * u_view.z, a_style.z);
  v_color = a_color * mix(0.62, 1.0, along);
  gl_Position = clip(p);
}`;

export const RIBBON_FS = `${COMMON}
in vec4 v_color; in vec3 v_across; in vec2 v_along;
out vec4 color;
void main() {
  float d = abs(v_across.x);
  float core = smoothstep(v_across.y + 0.7, v_across.y - 0.7, d);
  if (v_along.y > 0.5) core *= smoothstep(0.0, 1.0, 3.0 - abs(mod(v_along.x, 9.0) - 4.5) * 1.4);
  float halo = v_across.z * 0.30 * exp(-d * d / 26.0);
  color = v_color * max(core, halo);
}`;

export const DOT_VS = `${COMMON}${BEZIER}
in vec2 a_vertex;
in vec4 a_c0; in vec4 a_c1;
in vec4 a_motion;                 // phase, laps a second, size px, kind: 0 dot, 1 arrow head, 2 turned away, 3 chevron
in vec4 a_color;
out vec4 v_color; out vec2 v_p; out float v_kind; out float v_size;
void main() {
  float lap = fract(a_motion.x + u_time * a_motion.y);
  float t = lap;
  float seen = smoothstep(0.0, 0.06, lap) * smoothstep(1.0, 0.94, lap);
  if (a_motion.w > 2.5) {
    t = a_motion.x;
    seen = 1.0;
  } else if (a_motion.w > 1.5) {
    // A throttled request travels to the gate at mid-edge and ends there.
    t = min(lap, 0.48);
    seen = smoothstep(0.0, 0.06, lap) * (1.0 - smoothstep(0.48, 0.62, lap));
  } else if (a_motion.w > 0.5) {
    t = a_motion.x;
    seen = 1.0;
  }
  float size = a_motion.z * clamp(u_view.z, 0.5, 1.35) + 1.0;
  vec2 dir = tangent(a_c0, a_c1, t);
  vec2 side = vec2(-dir.y, dir.x);
  // A burst where it ends: the dot grows as it fades.
  float grow = a_motion.w > 1.5 && a_motion.w < 2.5 ? 1.0 + 1.6 * smoothstep(0.48, 0.62, lap) : 1.0;
  vec2 p = toPx(bezier(a_c0, a_c1, t)) + (dir * a_vertex.x + side * a_vertex.y) * size * grow;
  v_color = a_color * seen; v_p = a_vertex; v_kind = a_motion.w; v_size = size * grow;
  gl_Position = clip(p);
}`;

export const DOT_FS = `${COMMON}
in vec4 v_color; in vec2 v_p; in float v_kind; in float v_size;
out vec4 color;
void main() {
  float a;
  if (v_kind > 2.5) {
    // Two strokes that meet ahead.
    float stroke = abs(v_p.x + abs(v_p.y) * 0.8 - 0.35) * 0.78;
    a = smoothstep(0.2 + 1.0 / v_size, 0.2 - 1.0 / v_size, stroke) * smoothstep(0.85, 0.7, abs(v_p.y));
  } else if (v_kind > 0.5 && v_kind < 1.5) {
    float edge = abs(v_p.y) - (0.9 - v_p.x) * 0.42;
    a = smoothstep(1.0 / v_size, -1.0 / v_size, max(edge, -v_p.x - 0.75));
  } else {
    a = smoothstep(1.0, 1.0 - 2.0 / v_size, length(v_p));
  }
  color = v_color * a;
}`;

export const NODE_VS = `${COMMON}
in vec2 a_vertex;
in vec4 a_place;                  // x, y, radius px, shape
in vec4 a_fill; in vec4 a_ring;
in vec4 a_state;                  // error share, throttled share, halo, opacity
in vec4 a_extra;                  // selected, newborn; ring: 1 slow, 2 failing, 3 throttled, 4 cut off, 5 a victim's; culprit
out vec2 v_p; out vec4 v_fill; out vec4 v_ring; out vec4 v_state; out vec4 v_extra; out vec2 v_shape;
void main() {
  float r = a_place.z * nodeScale();
  float reach = r * 1.6 + 22.0;
  v_p = a_vertex * reach;
  v_fill = a_fill; v_ring = a_ring; v_state = a_state; v_extra = a_extra; v_shape = vec2(r, a_place.w);
  gl_Position = clip(toPx(a_place.xy) + v_p);
}`;

export const NODE_FS = `${COMMON}
in vec2 v_p; in vec4 v_fill; in vec4 v_ring; in vec4 v_state; in vec4 v_extra; in vec2 v_shape;
uniform vec4 u_failing; uniform vec4 u_throttled; uniform vec4 u_accent; uniform vec4 u_backdrop; uniform vec4 u_gauge;
out vec4 color;
float box(vec2 p, vec2 b, float r) { vec2 q = abs(p) - b + r; return length(max(q, 0.0)) + min(max(q.x, q.y), 0.0) - r; }
float shape(vec2 p, float r, float kind) {
  if (kind < 0.5) return length(p) - r;                                          // service
  if (kind < 1.5) return box(p, vec2(r * 0.82, r * 0.95), r * 0.42);             // database
  if (kind < 2.5) return box(p, vec2(r * 1.2, r * 0.68), r * 0.68);              // queue
  if (kind < 3.5) return box(mat2(0.7071, -0.7071, 0.7071, 0.7071) * p, vec2(r * 0.82), r * 0.22); // external
  return max(length(p) - r, 0.0) + box(p, vec2(r), r);                            // client
}
void over(inout vec4 c, vec3 rgb, float a) { c = vec4(rgb * a, a) + c * (1.0 - a); }
/** A round stroke between two points, in units of the radius. */
float bar(vec2 p, vec2 a, vec2 b, float px) {
  vec2 ab = b - a;
  float t = clamp(dot(p - a, ab) / max(dot(ab, ab), 1e-6), 0.0, 1.0);
  return smoothstep(0.11 + px * 0.7, 0.11 - px * 0.7, length(p - a - ab * t));
}
float line(float d, float half_) { return smoothstep(half_ + 0.6, half_ - 0.6, abs(d)); }
void main() {
  float r = v_shape.x;
  float d = shape(v_p, r, v_shape.y);
  float len = length(v_p);
  vec4 c = vec4(0.0);
  float pulse = 0.75 + 0.25 * sin(u_time * 3.2);
  if (v_state.z > 0.0) over(c, v_ring.rgb, v_state.z * pulse * 0.42 * exp(-max(d, 0.0) / 9.0));
  over(c, u_backdrop.rgb, smoothstep(4.4, 3.0, d));                                    // a gap, so that edges end clear of it
  over(c, v_fill.rgb, smoothstep(0.7, -0.7, d) * v_fill.a);
  // The ring's shape says in what way something is unwell, for whoever cannot tell the colours.
  float turns = atan(v_p.y, v_p.x) / 6.2831853;
  float thick = 1.0 + 0.5 * v_state.z;
  float ring = line(d + 1.0, thick);
  bool culprit = v_extra.w > 0.5;
  if (v_extra.z > 4.5) ring *= smoothstep(0.30, 0.42, abs(fract(turns * 9.0) * 2.0 - 1.0));                    // a victim: dashes
  else if (v_extra.z > 3.5) ring *= smoothstep(0.10, 0.16, abs(fract(turns * 2.0) - 0.5));   // cut off: two gaps
  else if (v_extra.z > 2.5) ring = max(ring, line(d - 4.0, 1.1) * step(0.5, fract(turns * 8.0)));          // throttled: a row of bars
  else if (v_extra.z > 1.5) ring = max(ring, line(d - 3.5 - 2.4 * abs(fract(turns * 14.0) * 2.0 - 1.0), 1.0)); // failing: teeth
  else if (v_extra.z > 0.5) ring = max(ring, line(d - 4.0, 0.8));                                          // slow: a second ring
  over(c, v_ring.rgb, ring * v_ring.a);
  // Who is to blame sends out rings, and is solid: its inner mark is the trouble's.
  if (culprit) {
    for (int i = 0; i < 2; i++) {
      float at = fract(u_time * 0.35 + float(i) * 0.5);
      over(c, v_ring.rgb, line(d - 6.0 - 12.0 * at, 0.9) * (1.0 - at) * 0.8);
    }
    vec2 g = v_p / r;
    float px = 1.0 / r;
    float ink = 0.0;
    if (v_extra.z < 1.5) ink = max(bar(g, vec2(0.0, -0.5), vec2(0.0, 0.0), px), bar(g, vec2(0.0, 0.0), vec2(0.34, 0.2), px));
    else if (v_extra.z < 2.5) ink = max(bar(g, vec2(0.0, -0.48), vec2(0.0, 0.1), px), bar(g, vec2(0.0, 0.46), vec2(0.0, 0.47), px));
    else if (v_extra.z < 3.5) ink = bar(g, vec2(-0.42, 0.0), vec2(0.42, 0.0), px);
    else ink = max(max(bar(g, vec2(-0.62, 0.0), vec2(-0.22, 0.0), px), bar(g, vec2(0.22, 0.0), vec2(0.62, 0.0), px)),
      max(bar(g, vec2(-0.22, -0.3), vec2(-0.22, 0.3), px), bar(g, vec2(0.22, -0.3), vec2(0.22, 0.3), px)));
    over(c, u_backdrop.rgb, ink);
  }
  // Inner marks tell the kinds apart.
  float k = v_shape.y;
  if (culprit) {
  } else if (k > 0.5 && k < 1.5) {
    float lid = abs(length((v_p + vec2(0.0, r * 0.42)) * vec2(1.0, 2.4)) - r * 0.62) ;
    float body = step(-r * 0.42, v_p.y);
    over(c, v_ring.rgb, smoothstep(1.6, 0.2, lid) * body * v_ring.a * step(d, -1.5));
    over(c, v_ring.rgb, line(v_p.y - r * 0.28 + 0.12 * v_p.x * v_p.x / r * -1.0, 0.5) * 0.55 * v_ring.a * step(d, -2.0));
  } else if (k > 1.5 && k < 2.5) {
    float bars = min(min(abs(v_p.x), abs(v_p.x - r * 0.45)), abs(v_p.x + r * 0.45));
    over(c, v_ring.rgb, smoothstep(1.3, 0.3, bars) * step(abs(v_p.y), r * 0.3) * v_ring.a);
  } else if (k < 0.5) {
    over(c, v_ring.rgb, smoothstep(0.8, -0.8, len - r * 0.20) * v_ring.a);
  } else if (k > 2.5 && k < 3.5) {
    over(c, v_ring.rgb, line(len - r * 0.30, 0.6) * v_ring.a);
  } else {
    over(c, v_ring.rgb, smoothstep(0.8, -0.8, max(abs(v_p.y) - (r * 0.42 - v_p.x) * 0.55, -v_p.x - r * 0.3)) * v_ring.a);
  }
  // The gauge: only where something is refused or fails. Clockwise from the top.
  float bad = v_state.x + v_state.y;
  if (bad > 0.01) {
    float turn = fract(atan(v_p.x, -v_p.y) / 6.2831853 + 1.0);
    float g = len - r * (k < 0.5 ? 1.0 : 1.3) - 6.0;
    float band = line(g, 1.7);
    over(c, u_gauge.rgb, band * 0.5 * u_gauge.a);
    float e = max(v_state.x, v_state.x > 0.0 ? 0.02 : 0.0);
    if (turn < e) over(c, u_failing.rgb, band);
    else if (turn < e + v_state.y) over(c, u_throttled.rgb, band);
  }
  if (v_extra.x > 0.0) {
    float g = len - r * (k < 0.5 ? 1.0 : 1.3) - 12.0;
    float turn = fract(atan(v_p.y, v_p.x) / 6.2831853 + 1.0) * 4.0;
    float notch = smoothstep(0.06, 0.09, abs(fract(turn + 0.5) - 0.5));
    over(c, u_accent.rgb, line(g, 1.0) * notch * v_extra.x);
    over(c, u_accent.rgb, smoothstep(0.045, 0.015, abs(fract(turn + 0.5) - 0.5)) * smoothstep(4.5, 3.5, abs(g)) * v_extra.x);
  }
  if (v_extra.y > 0.0) over(c, u_accent.rgb, line(len - r - 4.0 - 14.0 * fract(u_time * 0.5), 0.8) * v_extra.y * (1.0 - fract(u_time * 0.5)));
  color = c * v_state.w;
}`;

export const SPRITE_VS = `${COMMON}
in vec2 a_vertex;
in vec4 a_anchor;                 // world x, y; offset y times node scale, offset y fixed
in vec4 a_box;                    // width, height px; least zoom; opacity
in vec4 a_uv;
out vec2 v_uv; out float v_alpha;
void main() {
  vec2 px = toPx(a_anchor.xy) + vec2(0.0, a_anchor.z * nodeScale() + a_anchor.w);
  // On the device's pixels, or text blurs.
  vec2 origin = (floor(((px - a_box.xy * 0.5) + u_size * 0.5) * u_view.w + 0.5)) / u_view.w - u_size * 0.5;
  v_uv = mix(a_uv.xy, a_uv.zw, a_vertex * 0.5 + 0.5);
  v_alpha = a_box.w * smoothstep(a_box.z * 0.96, a_box.z, u_view.z + 1e-4);
  gl_Position = v_alpha < 0.01 ? vec4(2.0, 2.0, 2.0, 1.0) : clip(origin + a_box.xy * (a_vertex * 0.5 + 0.5));
}`;

export const SPRITE_FS = `${COMMON}
in vec2 v_uv; in float v_alpha;
uniform sampler2D u_atlas;
out vec4 color;
void main() { color = texture(u_atlas, v_uv) * v_alpha; }`;
