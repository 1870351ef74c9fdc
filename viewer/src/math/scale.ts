import { type ScaleContinuousNumeric, scaleLinear, scaleLog, scaleSqrt } from "d3-scale";
import { grouped } from "./written";

/** From numbers to pixels. */
export type Scale = ScaleContinuousNumeric<number, number>;
export type Ends = [low: number, high: number];

export interface Tick {
  value: number;
  text: string;
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export function linear(domain: Ends, range: Ends): Scale {
  return scaleLinear(domain, range);
}

export function logarithmic(domain: Ends, range: Ends): Scale {
  return scaleLog(domain, range).clamp(true);
}

/** A length that grows with the square root: one example in a thousand can still be seen. */
export function root(most: number, range: Ends): Scale {
  return scaleSqrt([0, most], range);
}

/** Round numbers, about as many as asked for. */
export function ticks(scale: Scale, count: number): Tick[] {
  const values = scale.ticks(count);
  const largest = Math.max(...values.map(Math.abs));
  const plain = scale.tickFormat(count);
  const written = largest >= 1e5 || largest < 1e-3 ? scientific : plain;
  return values.map((value) => ({ value, text: written(value) }));
}

function scientific(value: number): string {
  if (value === 0) return "0";
  const [digits, power] = Number(value.toPrecision(3)).toExponential().split("e") as [string, string];
  return `${digits.replace("-", "−")}·${powerOfTen(Number(power), true)}`;
}

/** Powers of ten, at most so many; round numbers between them where there is at most one. */
export function logTicks(scale: Scale, most: number): Tick[] {
  const [low, high] = scale.domain() as Ends;
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  if (last - first < 1) {
    return [1, 2, 5]
      .flatMap((digit) => [-1, 0, 1].map((shift) => digit * 10 ** (first + shift)))
      .filter((value) => value >= low && value <= high)
      .sort((a, b) => a - b)
      .slice(0, Math.max(most, 2))
      .map((value) => ({ value, text: String(Number(value.toPrecision(1))) }));
  }
  const every = Math.ceil((last - first + 1) / Math.max(most, 1));
  const powers = Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, k) => first + k * every);
  return powers.map((power) => ({ value: 10 ** power, text: powerOfTen(power) }));
}

/** 0, the largest count, and between them 1, 3, 10, 30 ... as far as each is `apart` pixels from the next. */
export function rootTicks(scale: Scale, apart: number): Tick[] {
  const most = scale.domain()[1] as number;
  const chosen = [most];
  for (let power = 7; power >= 0; power--) {
    for (const digit of [3, 1]) {
      const value = digit * 10 ** power;
      const room = Math.min(Math.abs(scale(value) - scale(chosen.at(-1) as number)), Math.abs(scale(value) - scale(0)));
      if (value < most && room >= apart) chosen.push(value);
    }
  }
  return [0, ...chosen.reverse()].map((value) => ({ value, text: grouped(value) }));
}

/** Ends of an axis with a margin on either side; of a single number, or none, an axis around it. */
export function padded([low, high]: Ends, share: number): Ends {
  if (!(high >= low)) return [0, 1];
  const margin = high > low ? share * (high - low) : Math.abs(low) * share || 0.5;
  return [low - margin, high + margin];
}

/** What encloses all of these ends. */
export function union(ends: Ends[]): Ends {
  return [Math.min(...ends.map(([low]) => low)), Math.max(...ends.map(([, high]) => high))];
}

function powerOfTen(power: number, always = false): string {
  if (!always && power >= -3 && power <= 3) return String(Number((10 ** power).toPrecision(1)));
  const digits = [...String(Math.abs(power))].map((digit) => SUPERSCRIPTS[Number(digit)]);
  return `10${power < 0 ? "⁻" : ""}${digits.join("")}`;
}
