/** Counts of the values in bins of equal width, by a group of each value. */
export class Histogram {
  /** (group, bin) */
  readonly counts: Int32Array;
  /** Of each group, the values that are not numbers. */
  readonly unknown: Int32Array;

  /** What lies beyond `low` or `high` is counted in the bin at that end. */
  constructor(
    readonly low: number,
    readonly high: number,
    readonly bins: number,
    readonly groups: number,
  ) {
    this.counts = new Int32Array(groups * bins);
    this.unknown = new Int32Array(groups);
  }

  /** The bin of a value, or -1 if it is not a number. */
  bin(value: number): number {
    if (Number.isNaN(value)) return -1;
    const place = Math.floor(((value - this.low) / (this.high - this.low)) * this.bins);
    return Math.min(Math.max(place, 0), this.bins - 1);
  }

  add(value: number, group: number): void {
    const bin = this.bin(value);
    if (bin < 0) this.unknown[group] = (this.unknown[group] as number) + 1;
    else this.counts[group * this.bins + bin] = this.count(group, bin) + 1;
  }

  count(group: number, bin: number): number {
    return this.counts[group * this.bins + bin] as number;
  }

  /** Where a bin begins; that of the bin after the last is where the last ends. */
  edge(bin: number): number {
    return this.low + (bin / this.bins) * (this.high - this.low);
  }

  /** All of a group that have a bin. */
  total(group: number): number {
    let sum = 0;
    for (let bin = 0; bin < this.bins; bin++) sum += this.count(group, bin);
    return sum;
  }
}
