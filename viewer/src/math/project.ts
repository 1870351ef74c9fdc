/** Two orthonormal axes (2, component) that many components are looked at along. */
export type Axes = number[][];

/** The first two components. */
export function firstAxes(components: number): Axes {
  return [0, 1].map((row) => Array.from({ length: components }, (_, k) => (k === row ? 1 : 0)));
}

/** Where scores (example, component) lie in the plane of the axes. */
export function project(scores: Float32Array, axes: Axes): { x: Float32Array; y: Float32Array } {
  const [u, v] = axes as [number[], number[]];
  const components = u.length;
  const count = scores.length / components;
  const [x, y] = [new Float32Array(count), new Float32Array(count)];
  for (let example = 0, k = 0; example < count; example++) {
    let [a, b] = [0, 0];
    for (let component = 0; component < components; component++, k++) {
      const score = scores[k] as number;
      a += score * (u[component] as number);
      b += score * (v[component] as number);
    }
    x[example] = a;
    y[example] = b;
  }
  return { x, y };
}

/**
 * The axes after the tip of one of at least three components has been dragged to (x, y) in the plane.
 *
 * The dragged tip goes first, as in Distill's grand tour: it lies under the pointer (or inside the unit circle, if the
 * pointer is outside), and the others give way by as little as keeps the axes orthonormal.
 */
export function drag(axes: Axes, component: number, x: number, y: number): Axes {
  if ((axes[0]?.length ?? 0) < 3) return axes;
  // On the circle itself the others would all lie on one line, from which no way leads back.
  const length = Math.max(1, Math.hypot(x, y) / 0.999);
  const [a, b] = [x / length, y / length];
  const rest = axes.map((axis) => axis.map((value, k) => (k === component ? 0 : value)));
  const [e, f] = straightened(rest, component) as [number[], number[]];
  // Products of what the other components must still bring to the two axes.
  const [p, q, r] = root(1 - a * a, -a * b, 1 - b * b);
  const place = (tip: number, s: number, t: number): number[] =>
    e.map((value, k) => (k === component ? tip : s * value + t * (f[k] as number)));
  return [place(a, p, q), place(b, q, r)];
}

/** The orthonormal axes nearest to two axes, none of `except`. */
function straightened(axes: Axes, except: number): Axes {
  const [u, v] = axes as [number[], number[]];
  const [p, q, r] = root(dot(u, u), dot(u, v), dot(v, v));
  const size = p * r - q * q;
  if (size < 1e-9) return orthonormal(axes, except);
  const blend = (s: number, t: number): number[] => u.map((value, k) => (s * value + t * (v[k] as number)) / size);
  return [blend(r, -q), blend(-q, p)];
}

/** The square root of a symmetric matrix (p, q; q, r) without negative eigenvalues. */
function root(p: number, q: number, r: number): [number, number, number] {
  const size = Math.sqrt(Math.max(0, p * r - q * q));
  const scale = Math.sqrt(p + r + 2 * size) || 1;
  return [(p + size) / scale, q / scale, (r + size) / scale];
}

/** The axes a moment later on a tour that in time comes near every plane; `angle` is about how far it turns. */
export function tourStep(axes: Axes, angle: number): Axes {
  const components = axes[0]?.length ?? 0;
  const turned = axes.map((axis) =>
    axis.map((value, k) => {
      let sum = value;
      for (let other = 0; other < components; other++) sum += angle * rate(k, other) * (axis[other] as number);
      return sum;
    }),
  );
  return orthonormal(turned, -1);
}

/** How fast component `a` turns into `b`: antisymmetric, and incommensurable so that the tour doesn't repeat itself. */
function rate(a: number, b: number): number {
  if (a === b) return 0;
  const [low, high] = a < b ? [a, b] : [b, a];
  return Math.sign(b - a) * (((1 + low) * Math.SQRT2 + (1 + high) * Math.sqrt(3)) % 1);
}

/** Gram and Schmidt's orthonormal axes; a vanished one is replaced by a component's own, but not by `except`'s. */
function orthonormal(axes: Axes, except: number): Axes {
  const done: Axes = [];
  for (const axis of axes) {
    const spare = axis.map((_, k) => axis.map((__, j) => (j === k && k !== except ? 1 : 0)));
    for (const candidate of [axis, ...spare]) {
      const rest = done.reduce((left, other) => {
        const share = dot(left, other);
        return left.map((value, k) => value - share * (other[k] as number));
      }, candidate);
      const length = Math.sqrt(dot(rest, rest));
      if (length > 1e-6) {
        done.push(rest.map((value) => value / length));
        break;
      }
    }
  }
  return done;
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, k) => sum + value * (b[k] as number), 0);
}
