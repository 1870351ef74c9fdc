// Lets `node --test` run TypeScript: esbuild strips the types, and paths may lack their ending as in the sources.
import { register } from "node:module";

register("./hooks.mjs", import.meta.url);
