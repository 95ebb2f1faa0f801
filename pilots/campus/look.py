"""The style sheet of the page: calm, one screen on a desk, one column on a phone; nothing from other hosts."""

from typing import Final

CSS: Final = """
:root {
  --ground: #f3f5f4; --card: #ffffff; --line: #e2e7e5; --ink: #1c2b29; --soft: #5b6b68;
  --calm: #0f766e; --calm-ground: #e3f1ef; --warn: #92500b; --warn-ground: #fdf0da; --warn-bar: #d98a1f;
  --alarm: #a51d2d; --alarm-ground: #fde4e6; --note: #34558b; --note-ground: #e6edf8; --mute-ground: #eceeed;
}
body { background: var(--ground); color: var(--ink); font-family: system-ui, "Segoe UI", Roboto, sans-serif; }
.nicegui-content { padding: 0; gap: 0; align-items: stretch; }
.campus { width: 100%; max-width: 1240px; margin: 0 auto; padding: 20px 24px 12px; box-sizing: border-box; }
.campus-head { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; margin-bottom: 16px; }
.campus-title { font-size: 1.3rem; font-weight: 650; letter-spacing: -0.01em; }
.campus-place { color: var(--soft); flex: 1 1 auto; }
.campus-fresh { color: var(--soft); font-variant-numeric: tabular-nums; }
.campus-clock { font-variant-numeric: tabular-nums; font-weight: 600; }
.pill { border-radius: 999px; padding: 2px 12px; font-weight: 600; font-size: 0.85rem; background: var(--mute-ground); }
.pill::before { content: "●"; margin-right: 6px; font-size: 0.7em; vertical-align: 0.12em; }
.pill.live { color: var(--calm); background: var(--calm-ground); }
.pill.behind { color: var(--warn); background: var(--warn-ground); }
.pill.down { color: var(--alarm); background: var(--alarm-ground); }
.warning { border-radius: 10px; padding: 10px 14px; margin-bottom: 14px; overflow-wrap: anywhere; }
.warning.down { color: var(--alarm); background: var(--alarm-ground); }
.warning.behind { color: var(--warn); background: var(--warn-ground); }
.zones { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; margin-bottom: 16px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 14px 16px; min-width: 0; }
.zones.stale { opacity: 0.55; }
.zone { display: flex; flex-direction: column; gap: 2px; }
.zone-top { display: flex; justify-content: space-between; align-items: center; gap: 8px; min-height: 1.6rem; }
.zone-name { font-weight: 600; }
.zone-people { font-size: 2.5rem; line-height: 1.15; font-weight: 650; font-variant-numeric: tabular-nums; }
.zone-caption, .zone-air, .zone-sensor { color: var(--soft); font-size: 0.85rem; font-variant-numeric: tabular-nums; }
.zone-air { margin-top: 6px; min-height: 1.3em; }
.bar { height: 6px; border-radius: 3px; background: var(--mute-ground); overflow: hidden; margin: 4px 0 2px; }
.bar.none { visibility: hidden; }
.bar > div { height: 100%; border-radius: 3px; background: var(--calm); transition: width 0.4s ease; }
.crowded .bar > div { background: var(--warn-bar); }
.full .bar > div { background: var(--alarm); }
.card.crowded { border-color: var(--warn-bar); }
.card.full { border-color: var(--alarm); }
.chip { border-radius: 6px; padding: 1px 8px; font-size: 0.78rem; font-weight: 600; white-space: nowrap;
  color: var(--soft); background: var(--mute-ground); }
.chip.calm { color: var(--calm); background: var(--calm-ground); }
.chip.warn, .crowded .zone-state { color: var(--warn); background: var(--warn-ground); }
.chip.alarm, .full .zone-state { color: var(--alarm); background: var(--alarm-ground); }
.chip.note { color: var(--note); background: var(--note-ground); }
.normal .zone-state { display: none; }
.panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 14px; }
.panel-head { display: flex; justify-content: space-between; align-items: baseline; margin-bottom: 6px; }
.panel-title { font-weight: 600; }
.panel-count { color: var(--soft); font-size: 0.85rem; }
.panel-rows { max-height: 21.5rem; overflow-y: auto; }
.row-line { display: grid; grid-template-columns: 5.6rem minmax(0, 1fr) auto; gap: 8px; align-items: baseline;
  padding: 6px 0; border-top: 1px solid var(--line); font-size: 0.9rem; }
.row-line:first-child { border-top: none; }
.row-time { color: var(--soft); font-variant-numeric: tabular-nums; }
.row-detail { overflow-wrap: anywhere; }
.row-empty { color: var(--soft); padding: 8px 0; font-size: 0.9rem; }
.row-line.mute .row-detail { color: var(--soft); }
.foot { color: var(--soft); font-size: 0.8rem; padding: 14px 0 4px; }
@media (max-width: 900px) { .panels { grid-template-columns: 1fr; } .panel-rows { max-height: none; } }
@media (max-width: 560px) {
  .campus { padding: 14px 12px; }
  .zones { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .card { padding: 12px; }
  .zone-people { font-size: 2rem; }
  .zone:first-child { grid-column: 1 / -1; }
  .campus-place { display: none; }
  .campus-title { flex: 1 1 auto; }
  .campus-fresh { flex-basis: 100%; order: 5; font-size: 0.9rem; }
}
"""
