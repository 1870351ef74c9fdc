import { LABEL, SMALL, circle, fitted, note, textWidth } from "../draw/axes";
import { type Ramp, diverging, pixels } from "../draw/ramp";
import type { Shape } from "../draw/shapes";
import { number } from "../math/written";
import { type Drawn, distance, eachEdge, gapAfter, geometry, named, nodeAt } from "./nodes";
import type { Scene, View } from "./view";
import { DIVERGED, moment } from "./words";

/** Widths of lines: of the heaviest weight, and of one that is nearly 0. They are drawn in so many steps. */
const [WIDEST, THINNEST, STEPS] = [5, 0.5, 7];

export const diagram: View = {
  id: "diagram",
  title: "Network",
  available: (data) => data.run.diagram !== null,

  layout(scene) {
    const drawn = geometry(scene);
    const { theme, width, height } = scene;
    if (drawn === null) return note("loading the network …", { x: 0, y: 0, width, height }, theme);
    const shapes = [...edges(drawn, scene), ...nodes(drawn, scene), ...titles(drawn, scene), ...key(drawn, scene)];
    if (drawn.weights.some((weight) => !Number.isFinite(weight))) {
      shapes.push(...note(DIVERGED, { x: 0, y: 0, width, height }, theme, theme.wrong));
    }
    return shapes;
  },

  label(scene) {
    const drawn = geometry(scene);
    if (drawn === null) return "Network: loading";
    const sizes = drawn.diagram.columns.map(({ layer, size }) => `${layer} ${size}`);
    const largest = drawn.weights.reduce((best, weight) => (Math.abs(weight) > Math.abs(best) ? weight : best), 0);
    return `Network, ${moment(scene)}: ${sizes.join(", ")}; the heaviest weight shown is ${number(largest)}.`;
  },

  table(scene) {
    const drawn = geometry(scene);
    const columns = ["from layer", "unit", "to layer", "unit ", "weight"];
    if (drawn === null) return { columns, rows: [] };
    const rows: (string | number)[][] = [];
    eachEdge(drawn, (from, to, weight) => rows.push([...named(drawn, from), ...named(drawn, to), weight]));
    return { columns, rows };
  },

  click(scene, x, y) {
    const drawn = geometry(scene);
    const node = drawn === null ? null : nodeAt(drawn, x, y);
    if (node === null) return { unit: null };
    const { unit } = scene.state;
    const again = unit?.column === node.column && unit.unit === node.unit;
    return { unit: again || node.column === 0 ? null : { column: node.column, unit: node.unit } };
  },

  hover(scene, x, y) {
    const drawn = geometry(scene);
    if (drawn === null) return null;
    const node = nodeAt(drawn, x, y);
    if (node !== null) {
      const column = drawn.diagram.columns[node.column];
      const [layer, unit] = named(drawn, node);
      const what = node.column === 0 ? (scene.data.run.input_names[unit] ?? `input ${unit}`) : `${layer}, unit ${unit}`;
      const ask = node.column > 0 && drawn.diagram.maps !== null ? "\nclick: its activation over the inputs" : "";
      return `${what}${node.column > 0 && column !== undefined ? `\n${column.activation}` : ""}${ask}`;
    }
    let best: [number, string] = [6, ""];
    eachEdge(drawn, (from, to, weight) => {
      const far = distance(x, y, from, to);
      if (far < best[0])
        best = [far, `${named(drawn, from).join(" ")} → ${named(drawn, to).join(" ")}\nweight ${number(weight)}`];
    });
    return best[1] === "" ? null : best[1];
  },
};

/** Lines between the units, of a few widths each, the thin ones below. */
function edges(drawn: Drawn, { colours, theme, state }: Scene): Shape[] {
  const lines: number[][] = Array.from({ length: 2 * STEPS }, () => []);
  const { radius, heaviest } = drawn;
  eachEdge(drawn, (from, to, weight) => {
    if (!Number.isFinite(weight)) return;
    const step = Math.min(Math.round((Math.abs(weight) / heaviest) * (STEPS - 1)), STEPS - 1);
    const line = lines[2 * step + (weight < 0 ? 1 : 0)] as number[];
    // A gentle curve from unit to unit is easier to follow than a star of straight lines.
    const [start, stop] = [from.x + radius, to.x - radius];
    for (let k = 0; k <= 8; k++) {
      const share = k / 8;
      line.push(start + (stop - start) * share, from.y + (to.y - from.y) * share * share * (3 - 2 * share));
    }
    line.push(Number.NaN, Number.NaN);
  });
  const pale = state.unit === null ? 1 : 0.75;
  return lines.flatMap((line, k): Shape[] => {
    if (line.length === 0) return [];
    const share = Math.floor(k / 2) / (STEPS - 1);
    const stroke = colours.classes[k % 2 === 0 ? 1 : 0] ?? theme.muted;
    const width = THINNEST + (WIDEST - THINNEST) * share;
    return [
      {
        kind: "path",
        commands: [Float32Array.from(line)],
        stroke,
        width,
        alpha: pale * (0.35 + 0.6 * share),
        ...(k % 2 === 1 && { dash: [6, 3] }),
      },
    ];
  });
}

function nodes(drawn: Drawn, scene: Scene): Shape[] {
  const {
    nodes: columns,
    radius,
    diagram: { maps, columns: described },
  } = drawn;
  const { theme, state, data } = scene;
  const small = maps === null || radius < 7 ? null : miniatures(drawn, scene);
  const shapes: Shape[] = [];
  let number = 0;
  for (const [depth, column] of columns.entries()) {
    for (const node of column) {
      const chosen = state.unit?.column === node.column && state.unit.unit === node.unit;
      const stroke = chosen ? theme.accent : theme.text;
      const picture = depth === 0 ? undefined : small?.[number++];
      const box = { x: node.x - radius, y: node.y - radius, width: 2 * radius, height: 2 * radius };
      if (picture !== undefined && maps !== null) {
        shapes.push({
          kind: "rects",
          boxes: Float32Array.of(box.x, box.y, box.width, box.height),
          fill: theme.surface,
        });
        shapes.push({
          kind: "image",
          ...box,
          columns: picture.columns,
          rows: picture.rows,
          pixels: picture.pixels,
          smooth: true,
        });
        shapes.push({ kind: "path", commands: [square(box)], stroke, width: chosen ? 3 : 1.2, closed: true });
        continue;
      }
      shapes.push({
        kind: "path",
        commands: [circle(node.x, node.y, radius)],
        fill: theme.surface,
        stroke,
        width: chosen ? 3 : 1.4,
      });
      const unit = described[depth]?.units[node.unit] ?? node.unit;
      const text = depth === 0 ? (data.run.input_names[unit] ?? String(unit)) : String(unit);
      const size = SMALL;
      if (textWidth(text, size) < 2 * radius - 2) {
        shapes.push({
          kind: "text",
          x: node.x,
          y: node.y,
          text,
          size,
          colour: theme.text,
          align: "center",
          baseline: "middle",
        });
      }
    }
    const { units, size } = described[depth] ?? { units: [], size: 0 };
    const gap = gapAfter(units, size);
    if (gap < 0 || column.length === 0) continue;
    const [before, after] = [column[gap - 1], column[gap]];
    const y =
      before !== undefined && after !== undefined
        ? (before.y + after.y) / 2
        : (before?.y ?? after?.y ?? 0) + 1.6 * radius + 8;
    shapes.push({
      kind: "text",
      x: column[0]?.x ?? 0,
      y,
      text: `⋮ ${size - units.length} more`,
      size: SMALL,
      colour: theme.muted,
      align: "center",
      baseline: "middle",
    });
  }
  return shapes;
}

const MINIATURE = 24;

/** What each unit makes of the plane of the inputs, in a few pixels. */
function miniatures(
  { diagram: { maps, columns } }: Drawn,
  { data, t, colours, theme }: Scene,
): { columns: number; rows: number; pixels: Uint8ClampedArray }[] | null {
  const values = data.at(maps, t);
  if (maps === null || values === null) return null;
  const [units, rows, wide] = maps.shape.slice(1) as [number, number, number];
  const every = Math.max(1, Math.floor(Math.max(rows, wide) / MINIATURE));
  const [down, across] = [Math.ceil(rows / every), Math.ceil(wide / every)];
  const ramp: Ramp = diverging(colours.classes[0] as string, colours.classes[1] as string, theme);
  const activations = columns.slice(1).flatMap((column) => column.units.map(() => column.activation));
  const small = new Float32Array(down * across);
  return Array.from({ length: units }, (_, unit) => {
    const from = unit * rows * wide;
    const middle = activations[unit] === "sigmoid" ? 0.5 : 0;
    let reach = 1e-9;
    for (let row = 0, at = 0; row < rows; row += every) {
      for (let column = 0; column < wide; column += every) {
        const value = values[from + row * wide + column] as number;
        small[at++] = value;
        const far = Math.abs(value - middle);
        if (far > reach) reach = far;
      }
    }
    return {
      columns: across,
      rows: down,
      pixels: pixels(small, across, down, (value) => 0.5 + (value - middle) / reach / 2, ramp),
    };
  });
}

function titles({ diagram: { columns }, nodes: placed }: Drawn, { theme, width }: Scene): Shape[] {
  const room = width / columns.length - 8;
  return columns.flatMap(({ layer, activation, size }, depth): Shape[] => {
    const x = placed[depth]?.[0]?.x ?? (room + 8) * (depth + 0.5);
    const place = { kind: "text", x, align: "center", baseline: "top" } as const;
    const name = depth === 0 ? "inputs" : layer;
    const detail = depth === 0 ? String(size) : `${size} ${activation}`;
    return [
      { ...place, y: 6, text: fitted(name, LABEL, room), size: LABEL, colour: theme.text, bold: true },
      { ...place, y: 23, text: fitted(detail, SMALL, room), size: SMALL, colour: theme.muted },
    ];
  });
}

/** What colours and widths mean. */
function key({ heaviest }: Drawn, { theme, colours, height, width }: Scene): Shape[] {
  const y = height - 11;
  const parts: [string, string, number[]][] = [
    ["positive", colours.classes[1] as string, []],
    ["negative", colours.classes[0] as string, [6, 3]],
  ];
  const shapes: Shape[] = [];
  let x = 12;
  for (const [text, stroke, dash] of parts) {
    shapes.push({ kind: "path", commands: [Float32Array.of(x, y, x + 22, y)], stroke, width: 3, dash });
    shapes.push({ kind: "text", x: x + 28, y, text, size: SMALL, colour: theme.muted, baseline: "middle" });
    x += 28 + textWidth(text, SMALL) + 14;
  }
  const text = `widest: ${number(heaviest)}`;
  if (x + textWidth(text, SMALL) < width - 8) {
    shapes.push({
      kind: "text",
      x: width - 12,
      y,
      text,
      size: SMALL,
      colour: theme.muted,
      align: "right",
      baseline: "middle",
    });
  }
  return shapes;
}

function square({ x, y, width, height }: { x: number; y: number; width: number; height: number }): Float32Array {
  return Float32Array.of(x, y, x + width, y, x + width, y + height, x, y + height);
}
