/** How numbers are written, everywhere. */

/** Made once: that takes longer than all that they write in a frame. */
const [WHOLE, TENTHS] = [new Intl.NumberFormat("en"), new Intl.NumberFormat("en", { maximumFractionDigits: 1 })];

/** A whole number: "12,000". */
export function grouped(value: number): string {
  return WHOLE.format(value);
}

/** A count, such as of epochs, with one decimal if it has any. */
export function counted(value: number): string {
  return TENTHS.format(value);
}

/** Three significant digits, as far as they say something. */
export function number(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "unknown";
  if (value === 0 || !Number.isFinite(value)) return String(value).replace("Infinity", "∞");
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}
