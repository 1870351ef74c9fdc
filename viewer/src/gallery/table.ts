import type { Server } from "../data/http";

/** A run of the table: what is known of it by name, its hyper-parameters among that. */
export interface Row {
  key: string;
  name: string;
  path: string;
  status: string;
  frames?: number;
  last_epoch?: number;
  created?: string;
  problem?: string;
  [name: string]: unknown;
}

export interface Table {
  root: string;
  /** The hyper-parameters that are not the same in all runs. */
  differing: string[];
  runs: Row[];
}

/** What is looked for: words or an expression, and a value of some hyper-parameters. */
export interface Filter {
  text: string;
  values: ReadonlyMap<string, string>;
  sort: string;
}

/** How a gallery is sorted: a column, or "-" and a column for the greatest first. */
export const SORTS: [string, string][] = [
  ["-created", "newest first"],
  ["path", "name"],
  ["final.loss", "lowest loss"],
  ["-last_epoch", "most epochs"],
];

/** A hyper-parameter with more values than this is found by an expression. */
const VALUES = 12;
const FACETS = 6;

/** Fetches the table; of the runs for which an expression holds, if there is one. */
export async function fetchTable(server: Server, filter: Filter): Promise<Table> {
  const query = isExpression(filter.text) ? `?where=${encodeURIComponent(filter.text)}` : "";
  return (await (await server.get(`api/runs${query}`)).json()) as Table;
}

/** Whether the text compares something; else its words are looked for. */
export function isExpression(text: string): boolean {
  return /[<>]|==|!=|\bin\b\s*[[(]/.test(text);
}

/** The runs that are looked for, in order. */
export function chosen(table: Table, filter: Filter): Row[] {
  const words = isExpression(filter.text) ? [] : filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = table.runs.filter((run) => {
    if ([...filter.values].some(([name, value]) => text(run[name]) !== value)) return false;
    const all = [run.name, run.path, run.status, ...table.differing.map((name) => `${name}=${text(run[name])}`)];
    const said = all.join(" ").toLowerCase();
    return words.every((word) => said.includes(word));
  });
  const name = filter.sort.replace(/^-/, "");
  const order = filter.sort.startsWith("-") ? -1 : 1;
  return found.sort((a, b) => compare(a[name], b[name], order) || compare(a.path, b.path, 1));
}

/** What is lacking comes last. */
function compare(a: unknown, b: unknown, order: number): number {
  const [x, y] = [a ?? null, b ?? null];
  if (x === null || y === null) return Number(x === null) - Number(y === null);
  if (typeof x === "number" && typeof y === "number") return order * (x - y);
  return order * text(x).localeCompare(text(y), "en", { numeric: true });
}

/** The hyper-parameters that differ, but for details of parts of the network, such as "hidden.bias_initializer". */
export function settings(table: Table): string[] {
  return table.differing.filter((name) => !name.includes("."));
}

/** The hyper-parameters that runs can be chosen by, each with its values. */
export function facets(table: Table): [name: string, values: string[]][] {
  return settings(table)
    .map((name): [string, string[]] => {
      const values = new Set(table.runs.filter((run) => run[name] !== undefined).map((run) => text(run[name])));
      return [name, [...values].sort((a, b) => a.localeCompare(b, "en", { numeric: true }))];
    })
    .filter(([, values]) => values.length > 1 && values.length <= VALUES)
    .slice(0, FACETS);
}

/** A value as it is read. */
export function text(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(Number(value.toPrecision(4)));
  if (Array.isArray(value)) return value.map(text).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
