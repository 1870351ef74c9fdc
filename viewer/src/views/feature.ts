import type { Space, Tour } from "../data/schema";
import { type Plot, SMALL, axes, fitted, grid, note, numbers, plot } from "../draw/axes";
import type { Shape } from "../draw/shapes";
import type { Ends } from "../math/scale";
import { number } from "../math/written";
import type { RunData } from "../model/run";
import { dots, trails, within } from "./dots";
import { classNames } from "./groups";
import { once } from "./once";
import { diverged, limits, onScreen, ownLimits, regions } from "./plane";
import { placedTable } from "./rows";
import { dragged, handles, tourLimits, tourOf, touredPoints } from "./tour";
import type { Scene, View } from "./view";
import { DIVERGED, TOP, heading, mistakes, moment, percent } from "./words";

/** What is drawn: the plane, and where each example is in it, in pixels. */
interface Drawn {
  plot: Plot;
  x: Float32Array;
  y: Float32Array;
  space: Space | null;
  tour: Tour | null;
  /** Coordinates before they became pixels. */
  points: Float32Array;
}

export const feature: View = {
  id: "feature",
  title: "Feature space",
  aspect: 0.92,
  fluent: true,
  available: (data) => data.run.spaces.length > 0 || data.run.tours.length > 0,

  layout(scene) {
    const drawn = geometry(scene);
    const whole = { x: 0, y: 0, width: scene.width, height: scene.height };
    if (drawn === null) return note("loading the feature space …", whole, scene.theme);
    const { box, x, y } = drawn.plot;
    const shapes = grid(drawn.plot, scene.theme);
    const { space } = drawn;
    const ways: Shape[] = [];
    if (space !== null) {
      shapes.push(...regions(scene, space, x.scale, y.scale, box));
      shapes.push(...warpedGrid(scene, space, drawn.plot));
      const at = (example: number): [Float32Array, Float32Array] | null => trail(scene.data, space, example);
      ways.push(...trails(scene, space.points.shape[0] ?? 0, at, x.scale, y.scale, box));
    }
    shapes.push(...dots(scene, drawn.x, drawn.y, box, ways));
    if (drawn.tour !== null) shapes.push(...handles(scene, drawn.tour, box));
    shapes.push(axes(drawn.plot, scene.theme), ...heading(scene, box));
    const facts = fitted(honesty(scene, drawn), SMALL, scene.width - 16);
    const foot = { x: scene.width / 2, y: scene.height - 4, size: SMALL, colour: scene.theme.muted } as const;
    const broken = diverged(drawn.points);
    if (facts !== "" && !broken)
      shapes.push({ kind: "text", ...foot, text: facts, align: "center", baseline: "bottom" });
    if (broken) shapes.push(...note(DIVERGED, box, scene.theme, scene.theme.wrong));
    return shapes;
  },

  label(scene) {
    const drawn = geometry(scene);
    if (drawn === null) return "Feature space: loading";
    const facts = honesty(scene, drawn);
    const layer = (drawn.space ?? drawn.tour)?.layer ?? "";
    const own = scene.state.axes === "own" && scene.others.length > 1 ? ", on axes of its own" : "";
    return `Feature space of layer ${layer}${own}, ${moment(scene)}: ${mistakes(scene)}${facts === "" ? "" : `; ${facts}`}.`;
  },

  table(scene) {
    const drawn = geometry(scene);
    const axes: [string, string] = drawn === null ? ["x", "y"] : [drawn.plot.x.label, drawn.plot.y.label];
    return placedTable(scene, drawn?.points ?? null, axes);
  },

  brush(scene, box) {
    const drawn = geometry(scene);
    return drawn === null ? [] : within(drawn.x, drawn.y, drawn.plot.box, box);
  },

  drag(scene, from, to) {
    const tour = tourOf(scene);
    const drawn = tour === null ? null : geometry(scene);
    return tour === null || drawn === null ? null : dragged(scene, tour, drawn.plot.box, from, to);
  },
};

/** The space that is shown: of the layer that was chosen, or of the first. */
export function spaceOf(data: RunData, layer: string | null): Space | null {
  return data.run.spaces.find((space) => space.layer === layer) ?? data.run.spaces[0] ?? null;
}

/** What the axes of a space are: units, or components. */
export function axisNames(space: Space): [string, string] {
  const chosen = /units? (\d+)(?:,| and) (?:unit )?(\d+)/i.exec(space.projection);
  if (chosen !== null) return [`unit ${chosen[1]}`, `unit ${chosen[2]}`];
  if (/pca|principal/i.test(space.projection)) return ["PC 1", "PC 2"];
  if (/mean|class/i.test(space.projection)) return ["axis 1", "axis 2"];
  return ["unit 0", "unit 1"];
}

function geometry(scene: Scene): Drawn | null {
  const tour = tourOf(scene);
  const space = tour === null ? spaceOf(scene.data, scene.state.layer) : null;
  const points = tour === null ? scene.data.at(space?.points ?? null, scene.t) : touredPoints(scene, tour);
  if (points === null) return null;
  const layer = (space ?? tour)?.layer ?? "";
  const name = /^[\d.]+$/.test(layer) ? `layer ${layer}` : layer;
  const names = space === null ? ["", ""] : axisNames(space).map((axis) => `${name}, ${axis}`);
  const domain = tour === null ? (space === null ? null : spaceLimits(scene, space)) : tourLimits(scene, tour);
  if (domain === null) return null;
  const foot = honesty(scene, { space, tour }) === "" ? 0 : 17;
  const area = { x: 0, y: 0, width: scene.width, height: scene.height - foot - 4 };
  const made = plot(area, numbers(domain.x, names[0] ?? ""), numbers(domain.y, names[1] ?? ""), TOP);
  return { plot: made, ...onScreen(points, made.x.scale, made.y.scale), space, tour, points };
}

function spaceLimits({ others, state }: Scene, space: Space): { x: Ends; y: Ends } {
  if (state.axes === "own") return ownLimits(space);
  const same = others.map(({ run }) => run.spaces.find((other) => other.layer === space.layer));
  return limits(same.filter((other) => other !== undefined));
}

function warpedGrid({ data, t, theme }: Scene, space: Space, { box, x, y }: Plot): Shape[] {
  const values = data.at(space.lines, t);
  if (space.lines === null || values === null) return [];
  const [lines, corners] = space.lines.shape.slice(1) as [number, number];
  const at = onScreen(values, x.scale, y.scale);
  const commands = Array.from({ length: lines }, (_, k) => {
    const line = new Float32Array(2 * corners);
    for (let corner = 0; corner < corners; corner++) {
      line[2 * corner] = at.x[k * corners + corner] as number;
      line[2 * corner + 1] = at.y[k * corners + corner] as number;
    }
    return line;
  });
  return [{ kind: "path", commands, stroke: theme.text, width: 0.8, alpha: 0.42, clip: box }];
}

function trail(data: RunData, space: Space, example: number): [Float32Array, Float32Array] | null {
  if (!data.ready(space.points)) return null;
  return once(data, `trail ${space.points.name} ${example}`, () => {
    const [x, y] = [data.column(space.points, 2 * example), data.column(space.points, 2 * example + 1)];
    return x === null || y === null ? null : ([x, y] as [Float32Array, Float32Array]);
  });
}

/** How faithful the picture is. */
function honesty({ data, t }: Scene, { space, tour }: Pick<Drawn, "space" | "tour">): string {
  if (tour !== null)
    return `variance kept ${percent(tour.kept)} in ${tour.scores.shape[2] ?? 0} components; drag their tips`;
  const kept = data.at(space?.kept ?? null, t)?.[0];
  const agreement = data.at(space?.agreement ?? null, t)?.[0];
  const quantities = classNames(data.run.task).length === 0;
  const parts = [
    kept === undefined || !(kept < 0.99995) ? "" : `variance kept ${percent(kept)}`,
    agreement === undefined
      ? ""
      : quantities
        ? `R² of regions ${number(agreement)}`
        : `regions agree for ${percent(agreement)}`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}
