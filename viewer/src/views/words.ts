import { LABEL, legend, scaleOf } from "../draw/axes";
import type { Box, Shape } from "../draw/shapes";
import { counted, grouped } from "../math/written";
import { countWrong } from "./dots";
import { examples, groupsOf } from "./groups";
import type { Scene } from "./view";

/** Room for what is said above a plane. */
export const TOP = 28;
export const DIVERGED = "not a number: the weights have diverged";

/** What is said above every plane: the groups' colours, and how many examples are wrong. */
export function heading(scene: Scene, box: Box): Shape[] {
  const groups = groupsOf(scene);
  const wrong = countWrong(scene);
  const words = wrong === null ? "" : `${grouped(wrong)} wrong`;
  const right = box.x + box.width;
  const room = { x: box.x, y: 2, width: box.width - (words === "" ? 0 : 80), height: TOP - 8 };
  const shapes: Shape[] = [];
  if (groups?.range != null) {
    const name = `true ${scene.data.run.task.names[0] ?? ""}`;
    shapes.push(...scaleOf(groups.range, groups.colours, name, room, scene.theme));
  } else if (groups !== null && groups.names.length > 1) {
    shapes.push(...legend(groups.names, groups.colours, room, scene.theme));
  }
  if (words !== "") {
    const place = { x: right, y: room.y + room.height / 2, size: LABEL, align: "right", baseline: "middle" } as const;
    shapes.push({ kind: "text", ...place, text: words, colour: scene.theme.wrong, bold: true });
  }
  return shapes;
}

/** "epoch 60", or what lies between two recorded ones. */
export function moment({ data, t, interpolated }: Scene): string {
  const before = data.epochs[Math.floor(t)] ?? 0;
  const after = data.epochs[Math.min(Math.floor(t) + 1, data.frames - 1)] ?? before;
  const epoch = before + (after - before) * (t - Math.floor(t));
  return `epoch ${counted(epoch)}${interpolated ? " (interpolated)" : ""}`;
}

/** "12 of 2,000 examples wrong", as far as that can be said of the task. */
export function mistakes(scene: Scene): string {
  const [wrong, count] = [countWrong(scene), grouped(examples(scene.data))];
  const { kind, names } = scene.data.run.task;
  if (wrong === null) return `${count} examples`;
  const where = kind === "labels" && names.length > 1 ? ` in "${names[0] ?? ""}"` : "";
  return `${grouped(wrong)} of ${count} examples wrong${where}`;
}

/** A share in whole per cent. */
export function percent(share: number): string {
  return Number.isNaN(share) ? "unknown" : `${Math.round(100 * share)} %`;
}
