import { find } from "./sync";
import type { RunData } from "./run";
import type { State } from "./state";

/** The part of the state that the fragment of an address gives; what it doesn't know, or isn't possible, is left out. */
export function readFragment(fragment: string, clock: RunData): Partial<State> {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const change: Partial<State> = {};
  const epoch = given.get("epoch");
  if (epoch !== null && epoch !== "" && Number.isFinite(Number(epoch))) {
    change.t = Math.round(find(clock.epochs, Number(epoch)));
  }
  const layer = given.get("layer");
  const { spaces, tours, distributions } = clock.run;
  if ([...spaces, ...tours].some((space) => space.layer === layer)) change.layer = layer;
  if (given.get("projection") === "tour" && tours.length > 0) change.projection = "tour";
  const axes = given.get("axes");
  if (axes === "same" || axes === "own") change.axes = axes;
  const distribution = given.get("distribution");
  if (distribution !== null && distributions.some(({ kind }) => kind === distribution)) {
    change.distribution = distribution;
  }
  const sync = given.get("sync");
  if (sync === "epoch" || sync === "step" || sync === "loss") change.sync = sync;
  const theme = given.get("theme");
  if (theme === "light" || theme === "dark") change.theme = theme;
  const speed = Number(given.get("speed"));
  if (speed >= 0.1 && speed <= 16) change.speed = speed;
  return change;
}

/** The fragment that leads back to the state; the theme is in it only if it isn't the reader's own (`preferred`). */
export function writeFragment(state: State, clock: RunData, preferred: State["theme"]): string {
  const shown = new URLSearchParams();
  shown.set("epoch", String(clock.epochs[Math.round(state.t)] ?? 0));
  if (state.layer !== null) shown.set("layer", state.layer);
  if (state.projection !== "auto") shown.set("projection", state.projection);
  if (state.axes !== "same") shown.set("axes", state.axes);
  if (state.distribution !== "weights") shown.set("distribution", state.distribution);
  if (state.sync !== "epoch") shown.set("sync", state.sync);
  if (state.theme !== preferred) shown.set("theme", state.theme);
  if (state.speed !== 1) shown.set("speed", String(state.speed));
  return `#${shown.toString()}`;
}
