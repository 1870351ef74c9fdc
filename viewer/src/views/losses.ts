import { type Plot, axes, counts, grid, legend, logarithms, note, plot } from "../draw/axes";
import type { Shape } from "../draw/shapes";
import { Histogram } from "../math/histogram";
import type { Ends } from "../math/scale";
import { grouped, number } from "../math/written";
import { RIGHT, SELECTED, WRONG, bars, binAt, binsWithin, corner } from "./bars";
import { examples } from "./groups";
import { ends } from "./once";
import type { Scene, View } from "./view";
import { moment } from "./words";

const BINS = 36;
const TOP = 30;
/** Losses smaller than the largest of the run by so many powers of ten are the same to the eye, and share a bin. */
const DECADES = 4;
/** The scale always reaches down to here, however far one example is out. */
const SMALL_LOSS = 1e-4;

interface Drawn {
  plot: Plot;
  /** Of logarithms to base 10. */
  histogram: Histogram;
  losses: Float32Array;
}

export const losses: View = {
  id: "losses",
  title: "Loss of every example",
  available: (data) => data.run.losses.shape[1] !== 0,

  layout(scene) {
    const { theme, width, height } = scene;
    const drawn = geometry(scene);
    if (drawn === null) return note("loading the losses …", { x: 0, y: 0, width, height }, theme);
    const { box, x, y } = drawn.plot;
    const shapes: Shape[] = grid(drawn.plot, theme);
    shapes.push(
      ...bars(drawn.histogram, { x: x.scale, height: y.scale }, theme.axis, scene),
      axes(drawn.plot, theme),
    );
    const { unknown } = drawn.histogram;
    const lost = (unknown[RIGHT] as number) + (unknown[WRONG] as number);
    const wrong = drawn.histogram.total(WRONG) + (unknown[WRONG] as number);
    const known = scene.data.run.wrong !== null;
    if (known) {
      shapes.push(
        ...legend(
          ["right", "wrong"],
          [theme.axis, theme.wrong],
          { x: box.x, y: 2, width: box.width - 90, height: 20 },
          theme,
        ),
      );
    }
    const words =
      lost > 0 ? `${grouped(lost)} not a number` : known ? `${grouped(wrong)} wrong` : "";
    shapes.push(...corner(words, drawn.plot, theme.wrong));
    return shapes;
  },

  label(scene) {
    const drawn = geometry(scene);
    if (drawn === null) return "Losses: loading";
    const sorted = drawn.losses.filter((loss) => !Number.isNaN(loss)).sort();
    const at = (share: number): string => number(sorted[Math.floor(share * (sorted.length - 1))]);
    const lost = drawn.losses.length - sorted.length;
    const missing = lost > 0 ? `; ${grouped(lost)} not a number` : "";
    return `Losses of ${grouped(drawn.losses.length)} examples, ${moment(scene)}: median ${at(0.5)}, a tenth above ${at(0.9)}, largest ${at(1)}${missing}.`;
  },

  table(scene) {
    const drawn = geometry(scene);
    const columns = ["loss from", "to", "right", "wrong"];
    if (drawn === null) return { columns, rows: [] };
    const { histogram } = drawn;
    const rows = Array.from({ length: BINS }, (_, bin) => [
      bin === 0 ? 0 : 10 ** histogram.edge(bin),
      10 ** histogram.edge(bin + 1),
      histogram.count(RIGHT, bin),
      histogram.count(WRONG, bin),
    ]);
    return { columns, rows };
  },

  brush(scene, box) {
    const drawn = geometry(scene);
    if (drawn === null) return [];
    const bins = binsWithin(drawn.histogram, { x: drawn.plot.x.scale, height: drawn.plot.y.scale }, box);
    return [...drawn.losses.keys()].filter((k) => bins.has(drawn.histogram.bin(magnitude(drawn.losses[k] as number))));
  },

  hover(scene, x, y) {
    const drawn = geometry(scene);
    const bin = drawn === null ? -1 : binAt(drawn.histogram, drawn.plot.x.scale, drawn.plot.box, { x, y });
    if (drawn === null || bin < 0) return null;
    const { histogram } = drawn;
    const [from, to] = [bin, bin + 1].map((edge) => number(10 ** histogram.edge(edge)));
    const range = bin === 0 ? `Loss up to ${to}` : `Loss ${from} to ${to}`;
    return `${range}\n${histogram.count(RIGHT, bin)} right, ${histogram.count(WRONG, bin)} wrong`;
  },
};

function geometry(scene: Scene): Drawn | null {
  const { data, others, t, width, height, state } = scene;
  const { run } = data;
  const values = data.at(run.losses, t);
  const wrong = data.at(run.wrong, t);
  const domain = domainOf(scene);
  if (values === null || domain === null) return null;
  const histogram = new Histogram(domain[0], domain[1], BINS, 3);
  for (let k = 0; k < values.length; k++) {
    const place = magnitude(values[k] as number);
    histogram.add(place, wrong?.[k] === 1 ? WRONG : RIGHT);
    if (state.selected.has(k)) histogram.add(place, SELECTED);
  }
  const most = Math.max(...others.map(examples));
  const name = others.every((other) => other.run.loss === run.loss) ? run.loss : "loss";
  const across = logarithms(domain, `${name.replaceAll("_", " ")} (log scale)`, 55, "≤ ");
  const area = { x: 0, y: 0, width, height: height - 4 };
  return { plot: plot(area, across, counts(most, "examples (√ scale)"), TOP), histogram, losses: values };
}

/** Logarithms of where the scale begins and ends, the same at all frames and of all runs. */
function domainOf({ others }: Scene): Ends | null {
  let most = 0;
  for (const data of others) {
    const found = ends(data, data.run.losses);
    if (found === null) return null;
    most = Math.max(most, found[1]);
  }
  if (!(most > 0) || !Number.isFinite(most)) most = 1;
  const low = Math.min(Math.floor(Math.log10(most)) - DECADES, Math.log10(SMALL_LOSS));
  return [low, Math.max(Math.log10(most), low + 1)];
}

/** The logarithm of a loss; of 0 that of nearly nothing. */
function magnitude(loss: number): number {
  return Math.log10(Math.max(loss, 1e-30));
}
