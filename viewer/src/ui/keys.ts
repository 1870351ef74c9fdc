import type { Session } from "../model/session";
import type { Player } from "./player";

/** What a key does; whether it did anything. */
export function press(
  event: KeyboardEvent,
  session: Session,
  player: Player,
  help: HTMLDialogElement,
  fork: () => void,
): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return false;
  const target = event.composedPath()[0] as HTMLElement;
  // A list chooses with the arrows, a slider other than that of time moves, a button is pressed with Space.
  if (target.matches("select, textarea, input:not(.time)")) return false;
  if (event.key === " " && target.matches("button, a")) return false;
  // A table is scrolled with the keys of time.
  if (target.matches(".table") && event.key !== "Escape" && event.key !== "?") return false;
  const { clock, state } = session;
  const acts: Record<string, () => void> = {
    " ": () => clock.toggle(),
    ArrowLeft: () => clock.step(-1),
    ArrowRight: () => clock.step(1),
    ",": () => clock.step(-1),
    ".": () => clock.step(1),
    PageUp: () => clock.step(-10),
    PageDown: () => clock.step(10),
    Home: () => clock.seek(0),
    End: () => clock.seek(session.last),
    "<": () => player.change(-1),
    ">": () => player.change(1),
    f: fork,
    "?": () => help.showModal(),
    Escape: () => state.update({ selected: new Set(), hovered: null }),
  };
  acts[event.key]?.();
  return event.key in acts;
}
