import { DARK, FONT, LIGHT, type Theme } from "../draw/theme";

function variables({ name, background, surface, text, muted, axis, grid, accent, wrong }: Theme): string {
  const colours = { background, surface, text, muted, axis, grid, accent, wrong };
  const set = Object.entries(colours).map(([key, value]) => `--${key}: ${value};`);
  return `color-scheme: ${name}; ${set.join(" ")}`;
}

/** The sheet of the viewer's own tree of elements. A strict policy forbids style elements, but not this. */
export const STYLES = `
:host { ${variables(LIGHT)} display: block; }
:host([data-theme="dark"]) { ${variables(DARK)} }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
.viewer {
  background: var(--background); color: var(--text); font: 14px/1.45 ${FONT};
  min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column;
}
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
button, select { font: inherit; color: inherit; }
button {
  min-width: 32px; height: 32px; padding: 0 10px; border: 1px solid transparent; border-radius: 6px;
  background: none; cursor: pointer; display: inline-flex; align-items: center; justify-content: center; gap: 6px;
}
button:hover { background: var(--grid); }
button:has(> svg:only-child) { padding: 0; width: 32px; }
button.solid { background: var(--accent); color: var(--surface); font-weight: 600; padding: 0 16px; }
svg { width: 20px; height: 20px; fill: currentColor; }
select {
  height: 32px; padding: 0 6px; border: 1px solid var(--axis); border-radius: 6px; background: var(--surface);
  max-width: 200px;
}
.choice { display: inline-flex; align-items: center; gap: 6px; }
.choice span { color: var(--muted); font-size: 13px; }

.top { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 20px; padding: 16px 24px 4px; }
.top h1 { font-size: 20px; line-height: 1.25; margin: 0; font-weight: 650; overflow-wrap: anywhere; }
.tools > button { border-color: var(--axis); }
.tools > span { display: flex; }
.tools { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 14px; margin-left: auto; }
.notes { margin: 4px 24px 0; color: var(--muted); font-size: 13px; }
.notes summary { cursor: pointer; width: fit-content; }
.notes ul { margin: 4px 0; padding-left: 20px; }

.grid { display: grid; gap: 16px; padding: 12px 24px 24px; grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--least)), 1fr)); flex: 1; align-content: start; }
.viewer > .grid { container-type: inline-size; }
.view { display: flex; flex-direction: column; background: var(--surface); border-radius: 10px; padding: 10px 14px 12px; min-width: 0; box-shadow: 0 1px 2px #0000000f, 0 0 0 1px var(--grid); }
.view.large { grid-column: 1 / -1; }
@container (min-width: 816px) { .single .view.wide { grid-column: span 2; } }
.view > header { display: flex; align-items: center; justify-content: space-between; position: relative; min-height: 32px; }
.view h2 { font-size: 15px; font-weight: 600; margin: 0; }
.quiet { color: var(--muted); }
.menu {
  position: absolute; right: 0; top: 34px; z-index: 3; display: flex; flex-direction: column; padding: 6px;
  background: var(--surface); border: 1px solid var(--axis); border-radius: 8px; box-shadow: 0 8px 24px #0003;
}
.menu button { justify-content: flex-start; }
.controls { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 16px; font-size: 13px; margin-bottom: 4px; }
.controls input { accent-color: var(--accent); margin: 0; }
.controls:not(:has(> :not([hidden]))) { display: none; }
.controls label { min-height: 24px; }
.tips { display: flex; flex-wrap: wrap; gap: 4px 12px; }
.tips input { width: 76px; }
.tips select { height: 28px; }
.panes { flex: 1; display: grid; gap: 8px 18px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 220px), 1fr)); }
.pane { margin: 0; min-width: 0; display: flex; flex-direction: column; }
/* Pictures side by side are level, however long what stands above each. */
.pane:has(figcaption) { display: grid; grid-row: span 2; grid-template-rows: subgrid; row-gap: 0; }
.stage { flex: 1; position: relative; min-width: 0; }
.pane figcaption { font-size: 13px; color: var(--muted); overflow-wrap: anywhere; min-height: 19px; }
.pane figcaption b { color: var(--text); font-weight: 600; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: manipulation; }
.view:has(.touch[aria-pressed="true"]) canvas { touch-action: pinch-zoom; }
.touch { display: none; margin-left: auto; font-size: 13px; border-color: var(--axis); }
@media (any-pointer: coarse) { .touch { display: inline-flex; } }
.table { max-height: 320px; overflow: auto; margin-top: 8px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; width: 100%; }
caption { text-align: left; color: var(--muted); padding: 4px 0; }
th, td { text-align: left; padding: 3px 10px 3px 0; border-bottom: 1px solid var(--grid); font-weight: 400; white-space: nowrap; }
th { font-weight: 600; position: sticky; top: 0; background: var(--surface); }

.player {
  position: sticky; bottom: 0; z-index: 4; background: var(--surface); border-top: 1px solid var(--grid);
  box-shadow: 0 -4px 16px #0000000d; padding: 8px 24px 10px; display: grid; gap: 4px 18px; align-items: end;
  grid-template-columns: auto 1fr auto;
}
.buttons { grid-column: 1; grid-row: 1; display: flex; align-items: center; gap: 4px; }
.timeline { grid-column: 2; grid-row: 1; min-width: 0; }
.clock { grid-column: 3; grid-row: 1; min-width: 168px; display: flex; flex-direction: column; justify-content: center; min-height: 36px; line-height: 1.2; }
.play { background: var(--accent); color: var(--surface); width: 36px !important; height: 36px; border-radius: 50%; }
.play:hover { background: var(--accent); filter: brightness(1.12); }
[aria-pressed="true"] { color: var(--accent); background: var(--grid); }
.clock { font-variant-numeric: tabular-nums; white-space: nowrap; font-size: 12px; color: var(--muted); }
.epoch { color: var(--text); font-size: 16px; font-weight: 650; }
.between { font-style: italic; margin-left: 8px; visibility: hidden; }
.between.shown { visibility: visible; }

.time { appearance: none; width: 100%; height: 32px; margin: 0; background: none; cursor: pointer; display: block; border-radius: 6px; }
.time::-webkit-slider-runnable-track {
  height: 6px; border-radius: 3px;
  background: linear-gradient(to right, var(--accent) calc(var(--share) * 100%), var(--axis) 0);
}
.time::-webkit-slider-thumb {
  appearance: none; width: 16px; height: 16px; margin-top: -5px; border-radius: 50%; background: var(--accent);
  border: 2px solid var(--surface); box-shadow: 0 0 0 1px var(--accent);
}
.time::-moz-range-track { height: 6px; border-radius: 3px; background: var(--axis); }
.time::-moz-range-progress { height: 6px; border-radius: 3px; background: var(--accent); }
.time::-moz-range-thumb { width: 12px; height: 12px; border-radius: 50%; background: var(--accent); border: 2px solid var(--surface); }
.lanes { margin: 0 8px; }
.lanes:empty { display: none; }
.lane { position: relative; height: 24px; }
.lane span { position: absolute; right: calc(100% + 24px); top: 3px; width: 200px; font-size: 12px; color: var(--muted); text-align: right; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.mark { position: absolute; top: 0; min-width: 24px; height: 24px; padding: 0; border: 0; left: calc(var(--from) * 100% - 12px); }
.mark:hover { background: none; }
.mark i { display: block; pointer-events: none; }
.milestone { z-index: 1; width: 24px; }
.milestone i { width: 10px; height: 10px; background: var(--accent); rotate: 45deg; border-radius: 2px; box-shadow: 0 0 0 1.5px var(--surface); }
.plateau { width: max(24px, calc((var(--to) - var(--from)) * 100%)); left: min(calc(var(--from) * 100%), calc(100% - 24px)); }
.plateau i { width: 100%; height: 6px; border-radius: 3px; background: var(--muted); opacity: .55; }
.mark:hover i, .mark:focus-visible i { filter: brightness(.8); opacity: 1; }

.tooltip {
  position: fixed; inset: auto; margin: 0; border: 0; overflow: visible; pointer-events: none; max-width: min(320px, 90vw); padding: 7px 10px; border-radius: 7px;
  background: var(--text); color: var(--surface); font-size: 13px; line-height: 1.4; white-space: pre-line;
  box-shadow: 0 4px 16px #0004; font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
.help { border: 0; border-radius: 12px; padding: 20px 28px 24px; background: var(--surface); color: var(--text); max-width: min(820px, 94vw); box-shadow: 0 16px 48px #0006; }
.help::backdrop { background: #0008; }
.help h2 { margin: 0; font-size: 18px; }
.help h3 { margin: 14px 0 4px; font-size: 14px; }
.columns { display: grid; gap: 0 36px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); }
dl { margin: 0; }
dl div { display: grid; grid-template-columns: 150px 1fr; padding: 3px 0; border-bottom: 1px solid var(--grid); }
dt { font-weight: 600; font-size: 13px; }
dd { margin: 0; }
.message { position: absolute; left: 50%; bottom: calc(100% + 12px); translate: -50% 0; background: var(--text); color: var(--surface); padding: 8px 16px; border-radius: 8px; max-width: 90vw; }
.message:empty { display: none; }
.failure { padding: 48px 24px; max-width: 640px; margin: 0 auto; }

@media (max-width: 640px) {
  .top { padding: 12px 14px 0; }
  .tools { margin-left: 0; }
  .notes { margin: 4px 14px 0; }
  .grid { padding: 10px; gap: 10px; }
  .view { padding: 8px 10px; }
  .player { padding: 4px 12px 8px; grid-template-columns: 1fr auto; gap: 0 12px; align-items: center; }
  .timeline { grid-column: 1 / -1; grid-row: 1; }
  .lane span { display: none; }
  .buttons { grid-row: 2; grid-column: 1; }
  .clock { grid-row: 2; grid-column: 2; min-width: 84px; }
  .between, .clock:has(.shown) .step { display: none; }
  .between.shown { display: inline; margin: 0; }
  .player select { width: 62px; }
  .buttons { gap: 2px; }
  .player .choice span { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
}
@media (prefers-reduced-motion: no-preference) { button { transition: background-color .12s; } }
`;

/** What differs where the viewer is a part of a notebook's page, as high as it is told. */
export const WIDGET = `
:host { overflow: auto; resize: vertical; border-radius: 8px; outline: none; border: 1px solid var(--grid); }
.viewer { min-height: 100%; }
.still { width: 100%; height: 100%; object-fit: contain; }
`;

/** The sheet of the page around it. */
export const PAGE = "html, body { margin: 0; padding: 0; }";

export function sheet(text: string): CSSStyleSheet {
  const styles = new CSSStyleSheet();
  styles.replaceSync(text);
  return styles;
}
