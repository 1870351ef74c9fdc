import { boundary } from "./boundary";
import { curves } from "./curves";
import { diagram } from "./diagram";
import { feature } from "./feature";
import { losses } from "./losses";
import { probabilities } from "./probabilities";
import { table } from "./table";
import type { View } from "./view";
import { violins } from "./violins";

/** All views, in the order in which they are shown. */
export const VIEWS: View[] = [feature, boundary, probabilities, losses, curves, diagram, violins, table];
