/** Colours of everything but the data. All are "#rrggbb". */
export interface Theme {
  name: "light" | "dark";
  /** Of the page. */
  background: string;
  /** Of a view; what its canvas is filled with. */
  surface: string;
  text: string;
  /** Of axis labels: at least 4.5 : 1 on the surface. */
  muted: string;
  /** Of axes and ticks. */
  axis: string;
  grid: string;
  accent: string;
  /** Of wrong predictions, together with hatching or a ×. */
  wrong: string;
  /** How opaque regions are over the surface. */
  regions: number;
}

export const LIGHT: Theme = {
  name: "light",
  background: "#f4f5f7",
  surface: "#ffffff",
  text: "#1d2330",
  muted: "#5a6272",
  axis: "#a9b0bd",
  grid: "#e8eaee",
  accent: "#2456c5",
  wrong: "#C2185B",
  regions: 0.3,
};

export const DARK: Theme = {
  name: "dark",
  background: "#11141a",
  surface: "#1a1e26",
  text: "#e8eaef",
  muted: "#a3abba",
  axis: "#5b6474",
  grid: "#2a303b",
  accent: "#8ab0ff",
  wrong: "#FF6FA3",
  regions: 0.36,
};

export function themeOf(name: "light" | "dark"): Theme {
  return name === "dark" ? DARK : LIGHT;
}

/** The typeface of everything, on canvases and around them. */
export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
