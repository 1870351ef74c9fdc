// Makes the files that Python ships: of the same sources always the same bytes.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "src", "netlapse", "view", "static");

/** A file's text, whatever ends its lines in this checkout. */
function read(path) {
  return readFileSync(path, "utf8").replaceAll("\r\n", "\n");
}

/** A hash of all that the built files are made of, which tells whether they are up to date. */
function hashOfSources() {
  const sources = readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  const own = ["build.mjs", "package.json", "package-lock.json", "tsconfig.json"].map((name) => join(here, name));
  const named = [...sources, ...own].map((path) => [relative(here, path).split(sep).join("/"), path]);
  const hash = createHash("sha256");
  for (const [name, path] of named.sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${name}\0${read(path)}\0`);
  return hash.digest("hex");
}

/** The licences of what is built in, which have to come with it. */
function licences(inputs) {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1] ?? []),
  );
  const texts = [...packages].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const { version } = JSON.parse(read(join(folder, "package.json")));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    return `${name} ${version}\n\n${read(join(folder, file)).trim()}\n`;
  });
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

const options = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
};
mkdirSync(out, { recursive: true });
// The script of a worker is text in the others: pages may load nothing.
const worker = await build({ ...options, format: "iife", entryPoints: ["src/playground/worker.ts"], write: false });
const define = { WORKER: JSON.stringify(worker.outputFiles[0].text) };

/** Makes one file, and says of what. */
async function bundle(name, format) {
  const { metafile } = await build({
    ...options,
    format,
    define,
    entryPoints: { [name]: `src/hosts/${name}.ts` },
    outdir: out,
    metafile: true,
  });
  for (const [path, { bytes }] of Object.entries(metafile.outputs))
    console.log(`${relative(here, join(here, path))}: ${bytes} bytes`);
  return metafile.inputs;
}

const inputs = { ...(await bundle("page", "iife")), ...(await bundle("widget", "esm")) };
writeFileSync(join(out, "LICENSES.txt"), licences(inputs));
writeFileSync(join(out, "manifest.json"), `${JSON.stringify({ sources: hashOfSources() }, null, 2)}\n`);
