/** The sheet of the gallery, besides that of the viewer. */
export const GALLERY = `
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.way { background: var(--background); font: 13px/1.4 system-ui, sans-serif; padding: 10px 24px 0; }
.gallery { padding-bottom: 24px; }
.head { display: flex; flex-wrap: wrap; align-items: center; gap: 10px 16px; padding: 20px 24px 4px; }
.head h1 { font-size: 22px; font-weight: 650; margin: 0 8px 0 0; }
.head input {
  font: inherit; color: inherit; height: 36px; flex: 1 1 280px; max-width: 520px; min-width: 0; padding: 0 12px;
  border: 1px solid var(--axis); border-radius: 8px; background: var(--surface);
}
.head input::placeholder { color: var(--muted); opacity: 1; }
.choices { display: flex; flex-wrap: wrap; gap: 8px 14px; flex-basis: 100%; min-width: 0; }
.choices:empty { display: none; }
.head > .choice { margin-left: auto; }
.head select { max-width: 150px; }
.count { margin: 4px 24px 0; color: var(--muted); font-size: 13px; min-height: 20px; overflow-wrap: anywhere; }
.problem { color: var(--wrong); overflow-wrap: anywhere; }
.cards { display: grid; gap: 18px; padding: 12px 24px 24px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 232px), 1fr)); }
.card {
  position: relative; background: var(--surface); border-radius: 12px; overflow: hidden; display: flex; flex-direction: column;
  box-shadow: 0 1px 2px #0000000f, 0 0 0 1px var(--grid);
}
.card:hover, .card:focus-within { box-shadow: 0 6px 20px #0000001f, 0 0 0 1px var(--axis); }
.card:has(:checked) { box-shadow: 0 0 0 2px var(--accent); }
.picture { aspect-ratio: 4 / 3; position: relative; border-bottom: 1px solid var(--grid); background: var(--background); }
.card h2 { font-size: 15px; font-weight: 600; margin: 10px 14px 2px; overflow-wrap: anywhere; }
.card h2 a { color: inherit; }
/* The whole card is the link; the tick lies above it. */
.card h2 a::after { content: ""; position: absolute; inset: 0; }
.facts { padding: 0 14px 12px; font-size: 13px; color: var(--muted); font-variant-numeric: tabular-nums; }
.facts p { margin: 2px 0; display: flex; flex-wrap: wrap; gap: 0 10px; align-items: center; overflow-wrap: anywhere; }
.facts p.problem { color: var(--wrong); display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.settings b { color: var(--text); font-weight: 600; }
.status { font-weight: 600; color: var(--muted); }
.status.recording { color: var(--accent); }
.status.damaged { color: var(--wrong); }
.status.recording::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: var(--accent); margin-right: 6px; }
.tick {
  position: absolute; top: 8px; right: 8px; z-index: 1; display: flex; align-items: center; gap: 6px; padding: 4px 9px; font-size: 12px;
  border-radius: 8px; background: var(--surface); box-shadow: 0 0 0 1px var(--axis); cursor: pointer;
}
.tick input { width: 16px; height: 16px; margin: 0; accent-color: var(--accent); }
.more { height: 1px; }
.bar {
  position: sticky; bottom: 16px; z-index: 4; align-self: center; display: flex; align-items: center; gap: 12px; padding: 8px 8px 8px 18px;
  background: var(--surface); border-radius: 12px; box-shadow: 0 8px 32px #0004, 0 0 0 1px var(--axis);
}
.compare { font-weight: 600; color: var(--muted); }
.compare[href] { background: var(--accent); color: var(--surface); padding: 7px 18px; border-radius: 8px; margin-left: -10px; }
@media (prefers-reduced-motion: no-preference) {
  .card { transition: box-shadow .15s; }
  .status.recording::before { animation: breathe 1.6s ease-in-out infinite; }
}
@keyframes breathe { 50% { opacity: .25; } }
@media (max-width: 640px) {
  .way { padding: 8px 14px 0; }
  .head { padding: 14px 14px 0; }
  .head input { flex-basis: 100%; max-width: none; }
  .head > .choice { margin-left: 0; }
  .choices { flex-wrap: nowrap; overflow-x: auto; padding: 3px; margin: -3px; }
  .choices .choice { flex: none; }
  .count { margin: 4px 14px 0; }
  .tick { padding: 6px; }
  .tick span { display: none; }
  .cards { padding: 10px 14px 20px; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(158px, 1fr)); }
}
`;
