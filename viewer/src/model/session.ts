import type { Payload } from "../data/schema";
import { type Colours, coloursOf } from "../draw/palette";
import { DARK, LIGHT, themeOf } from "../draw/theme";
import type { Scene } from "../views/view";
import { Clock } from "./clock";
import type { RunData } from "./run";
import { Signal } from "./signal";
import type { State } from "./state";
import { leader, positions } from "./sync";

/** What is looked at: the runs, the state and the clock that moves it. */
export class Session {
  readonly clock: Clock;
  private readonly colours: Record<State["theme"], Colours>;
  /** Counts what came besides changes of the state: arrays, and frames of a live run. */
  readonly arrivals = new Signal(0);

  constructor(
    readonly payload: Payload,
    public runs: RunData[],
    readonly state: Signal<State>,
  ) {
    this.clock = new Clock(state, () => this.last);
    const classes = Math.max(...runs.map((data) => data.run.task.names.length));
    this.colours = { light: coloursOf(classes, LIGHT), dark: coloursOf(classes, DARK) };
  }

  /** The run that the clock counts the frames of. */
  get leader(): RunData {
    return this.runs[leader(this.runs)] as RunData;
  }

  get last(): number {
    return this.leader.frames - 1;
  }

  /** The epoch shown: of the leader's nearest recorded frame. */
  get epoch(): number {
    return this.leader.epochs[Math.round(this.state.value.t)] ?? 0;
  }

  /** Frame position of each run. */
  positions(state = this.state.value): number[] {
    return positions(this.runs, state.t, state.sync, Number.isInteger(state.t));
  }

  /** One run at the moment of the state, to be laid out at a size. */
  scene(run: number, width: number, height: number, state = this.state.value): Scene {
    const t = this.positions(state)[run] as number;
    return {
      data: this.runs[run] as RunData,
      others: this.runs,
      t,
      interpolated: !Number.isInteger(t),
      state,
      width,
      height,
      theme: themeOf(state.theme),
      colours: this.colours[state.theme],
    };
  }

  /** What tells a run from the others: the hyper-parameters in which they differ. */
  differences(run: number): string {
    const given = this.runs[run]?.run.hyperparameters ?? {};
    const named = this.payload.differing.filter((name) => name in given);
    return named.map((name) => `${name.replaceAll("_", " ")} ${given[name] ?? ""}`).join(", ");
  }
}
