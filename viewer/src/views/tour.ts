import type { Tour } from "../data/schema";
import { SMALL } from "../draw/axes";
import type { Box, Shape } from "../draw/shapes";
import { type Axes, drag, firstAxes, project } from "../math/project";
import { type Ends, padded } from "../math/scale";
import type { RunData } from "../model/run";
import type { State } from "../model/state";
import { once, sampled } from "./once";
import type { Scene } from "./view";

/** Length of the handles, as a share of the plane; and how near to a tip the pointer takes it. */
const HANDLE = 0.3;
const REACH = 14;
/** More handles would hide each other. */
export const HANDLES = 8;

export function tourOf({ data, state }: Scene): Tour | null {
  const { tours, spaces } = data.run;
  if (state.projection !== "tour" && spaces.length > 0) return null;
  const found = tours.find((tour) => tour.layer === (state.layer ?? spaces[0]?.layer));
  return found ?? (state.layer === null ? (tours[0] ?? null) : null);
}

function axesOf({ state }: Scene, tour: Tour): Axes {
  const components = tour.scores.shape[2] ?? 2;
  return state.tour?.[0]?.length === components ? state.tour : firstAxes(components);
}

export function touredPoints(scene: Scene, tour: Tour): Float32Array | null {
  const scores = scene.data.at(tour.scores, scene.t);
  if (scores === null) return null;
  const { x, y } = project(scores, axesOf(scene, tour));
  const points = new Float32Array(2 * x.length);
  for (let k = 0; k < x.length; k++) [points[2 * k], points[2 * k + 1]] = [x[k] as number, y[k] as number];
  return points;
}

/** A plane that nearly all examples lie in at nearly all frames, whichever side they are looked at from. */
export function tourLimits({ data: own, others, state }: Scene, tour: Tour): { x: Ends; y: Ends } | null {
  let reach = 0;
  for (const data of state.axes === "own" ? [own] : others) {
    const same = data.run.tours.find((other) => other.layer === tour.layer);
    if (same === undefined) continue;
    const found = once(data, `reach ${same.scores.name}`, () => reachOf(data, same));
    if (found === null) return null;
    reach = Math.max(reach, found);
  }
  const domain = padded([-reach, reach], 0.03);
  return { x: domain, y: domain };
}

function reachOf(data: RunData, { scores }: Tour): number | null {
  const components = scores.shape[2] ?? 1;
  let reach = 0;
  for (const frame of sampled(scores)) {
    const row = data.row(scores, frame);
    if (row === null) return null;
    const lengths = new Float32Array(row.length / components);
    for (let k = 0; k < lengths.length; k++) {
      const length = Math.hypot(...row.subarray(k * components, (k + 1) * components));
      lengths[k] = Number.isFinite(length) ? length : 0;
    }
    reach = Math.max(reach, lengths.sort()[Math.floor(0.995 * (lengths.length - 1))] as number);
  }
  return reach || 1;
}

/** Where the tip of a component lies, in parts of the longest handle. */
export function componentOf(scene: Scene, component: number): [across: number, up: number] {
  const tour = tourOf(scene);
  const [u, v] = tour === null ? [[], []] : (axesOf(scene, tour) as [number[], number[]]);
  return [u[component] ?? 0, v[component] ?? 0];
}

/** The axes after the tip of a component has been put to a place. */
export function pointed(scene: Scene, component: number, across: number, up: number): Partial<State> {
  const tour = tourOf(scene);
  return tour === null ? {} : { tour: drag(axesOf(scene, tour), component, across, up) };
}

/** The axes after the handle at `from` has been pulled to a place; null if there is none. */
export function dragged(
  scene: Scene,
  tour: Tour,
  box: Box,
  from: [number, number],
  to: [number, number],
): Partial<State> | null {
  const looked = axesOf(scene, tour);
  const { middle, length } = compass(box);
  // A tip that is pulled beyond the unit circle stays on it.
  const [across, up] = [(from[0] - middle.x) / length, (middle.y - from[1]) / length];
  const far = Math.max(1, Math.hypot(across, up));
  const distances = (looked[0] ?? [])
    .slice(0, HANDLES)
    .map((a, k) => Math.hypot(a - across / far, (looked[1]?.[k] ?? 0) - up / far));
  const nearest = Math.min(...distances);
  if (nearest * length > REACH) return null;
  const component = distances.indexOf(nearest);
  return { tour: drag(looked, component, (to[0] - middle.x) / length, (middle.y - to[1]) / length) };
}

function compass({ x, y, width, height }: Box): { middle: { x: number; y: number }; length: number } {
  return { middle: { x: x + width / 2, y: y + height / 2 }, length: HANDLE * Math.min(width, height) };
}

/** The components as arrows from the middle, each with its name at the tip that can be dragged. */
export function handles(scene: Scene, tour: Tour, box: Box): Shape[] {
  const looked = axesOf(scene, tour);
  const { middle, length } = compass(box);
  const { theme } = scene;
  return (looked[0] ?? []).slice(0, HANDLES).flatMap((a, k): Shape[] => {
    const [x, y] = [middle.x + length * a, middle.y - length * (looked[1]?.[k] ?? 0)];
    const long = Math.hypot(x - middle.x, y - middle.y) > 8;
    const tip = Float32Array.of(x - 4, y - 4, 8, 8);
    return [
      {
        kind: "path",
        commands: [Float32Array.of(middle.x, middle.y, x, y)],
        stroke: theme.accent,
        width: 1.5,
        alpha: 0.8,
      },
      { kind: "rects", boxes: tip, fill: theme.surface, stroke: theme.accent },
      ...(long || k === 0
        ? [
            {
              kind: "text",
              x: x + 8,
              y,
              text: `PC ${k + 1}`,
              size: SMALL,
              colour: theme.accent,
              baseline: "middle",
              bold: true,
              halo: theme.surface,
            } as const,
          ]
        : []),
    ];
  });
}
