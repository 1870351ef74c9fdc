import { decode } from "./codec";
import type { Payload, Values } from "./schema";
import { type Source, type Typed, frameSize, timed } from "./source";

/** The payload and arrays that the page itself contains. */
export class InlineSource implements Source {
  private readonly decoded = new Map<string, Promise<Typed>>();

  constructor(private readonly page: ParentNode) {}

  static isIn(page: ParentNode): boolean {
    return page.querySelector("script#payload") !== null;
  }

  payload(): Promise<Payload> {
    return Promise.resolve(JSON.parse(this.page.querySelector("script#payload")?.textContent ?? "null") as Payload);
  }

  async frames(values: Values, from: number, to: number): Promise<Typed> {
    let whole = this.decoded.get(values.name);
    if (whole === undefined) {
      whole = decode(values, this.text(values.name));
      this.decoded.set(values.name, whole);
    }
    const stored = await whole;
    return timed(values) ? stored.subarray(from * frameSize(values), to * frameSize(values)) : stored;
  }

  private text(name: string): string {
    const script = this.page.querySelector(`script[data-array="${CSS.escape(name)}"]`);
    if (script === null) throw new Error(`This page lacks the array "${name}". Export it again.`);
    return script.textContent ?? "";
  }
}
