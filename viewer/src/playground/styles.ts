/** The sheet of the playground, besides that of the viewer. */
export const PLAYGROUND = `
.tools button.named { border-color: var(--axis); }
.tools [aria-disabled="true"] { color: var(--muted); cursor: default; }
.forks { list-style: none; margin: 6px 24px 0; padding: 0; display: grid; gap: 4px; }
.forks li {
  display: flex; flex-wrap: wrap; align-items: center; gap: 2px 10px; font-size: 13px; padding: 4px 4px 4px 12px; min-height: 40px;
  background: var(--surface); border-radius: 8px; box-shadow: 0 0 0 1px var(--grid); overflow-wrap: anywhere;
}
.forks .quiet { margin-right: auto; font-variant-numeric: tabular-nums; }
.forks li > button:last-child { margin-left: auto; }
.forks progress { accent-color: var(--accent); width: 120px; }
.fork { width: min(440px, 94vw); padding: 20px 24px; }
.fork form { display: grid; gap: 10px; }
.fork h2 { margin-bottom: 4px; }
.field { display: grid; grid-template-columns: 1fr 170px; align-items: center; gap: 10px; }
.field input, .field select {
  font: inherit; color: inherit; width: 100%; height: 34px; padding: 0 8px; border: 1px solid var(--axis); border-radius: 6px;
  background: var(--surface); max-width: none;
}
.field input:user-invalid { border-color: var(--wrong); }
.hints { margin: 4px 0 0; padding-left: 18px; color: var(--muted); font-size: 13px; }
.fork .problem { margin: 0; color: var(--wrong); }
.fork .problem:empty { display: none; }
.ends { display: flex; justify-content: flex-end; gap: 8px; margin-top: 4px; }
.ends button { border-color: var(--axis); }
@media (max-width: 640px) {
  .forks { margin: 6px 14px 0; }
  .fork { padding: 16px; }
  .field { grid-template-columns: 1fr 136px; }
}
`;
