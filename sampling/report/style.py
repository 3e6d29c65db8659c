"""The style of the report's page: light and dark, from a phone's width up, without a script."""

from __future__ import annotations

CSS = """
:root {
  color-scheme: light dark;
  --back: #f7f7f5; --card: #fff; --ink: #1c2024; --soft: #5b636b; --line: #dfe2e5; --accent: #0b5cad;
  --matched: #c3cad2; --downloaded: #7f93a8; --threshold: #b3261e; --shade: #0003;
  --s0: #d9730d; --s1: #0b6bcb; --s2: #1a8a4a; --s3: #a83f9e; --s4: #a38a00; --s5: #17879b; --rest: #9aa3ab;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #14171a; --card: #1d2125; --ink: #e8eaed; --soft: #a3acb5; --line: #343a40; --accent: #7cb7f2;
    --matched: #444c55; --downloaded: #6c8299; --threshold: #ff8a80; --shade: #000c;
    --s0: #f79c42; --s1: #5aa9f5; --s2: #4cc27d; --s3: #dd8bd5; --s4: #d9c24a; --s5: #4fc3d7; --rest: #7a838b;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 3.6rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main, header > div { max-width: 1120px; margin: 0 auto; padding: 0 1rem; }
header { padding: 1.6rem 0 .4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .8rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 1.3rem 0 .4rem; }
p { margin: .3rem 0 .7rem; max-width: 75ch; }
p.soft, .soft, figcaption, .legend { color: var(--soft); }
a { color: var(--accent); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; border-radius: 3px; }
nav { position: sticky; top: 0; z-index: 2; background: var(--back); border-bottom: 1px solid var(--line); }
nav ul { display: flex; gap: 1.1rem; max-width: 1120px; margin: 0 auto; padding: .6rem 1rem; list-style: none;
  overflow-x: auto; white-space: nowrap; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem;
  margin: 1rem 0; }
dl.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem;
  margin: 0; }
dl.tiles div { border-left: 3px solid var(--line); padding: .1rem 0 .1rem .7rem; }
dl.tiles dt { color: var(--soft); font-size: .85rem; }
dl.tiles dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
dl.tiles dd small { display: block; font-size: .8rem; color: var(--soft); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .4rem 0; }
dl.facts dt { color: var(--soft); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; background: linear-gradient(90deg, var(--card) 30%, transparent) 0 0 / 2rem 100%,
  linear-gradient(-90deg, var(--card) 30%, transparent) 100% 0 / 2rem 100%,
  linear-gradient(90deg, var(--shade), transparent) 0 0 / .6rem 100%,
  linear-gradient(-90deg, var(--shade), transparent) 100% 0 / .6rem 100%;
  background-attachment: local, local, scroll, scroll; background-repeat: no-repeat; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: middle; }
th { font-weight: 600; font-size: .85rem; color: var(--soft); white-space: nowrap; }
.n { text-align: right; white-space: nowrap; }
tbody th { color: var(--ink); font-weight: 400; font-size: inherit; white-space: normal; }
td.bars { width: 40%; min-width: 8rem; }
.chart { display: block; width: 100%; height: auto; min-width: 660px; }
.chart.small { min-width: 0; }
.charts { display: grid; gap: .5rem 1.2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); }
figure { margin: 0; min-width: 0; }
figure.plot figcaption { font-size: .85rem; }
.bar { display: block; width: 100%; height: .8rem; border-radius: 2px; overflow: hidden; }
.grid { stroke: var(--line); stroke-width: 1; }
.tick { fill: var(--soft); font-size: 11px; }
.end { text-anchor: end; } .middle { text-anchor: middle; } .start { text-anchor: start; }
.mark { fill: var(--threshold); }
mark { background: #ffe69c; color: #1c2024; border-radius: 2px; padding: 0 .1em; }
.threshold { stroke: var(--threshold); stroke-width: 1.5; stroke-dasharray: 4 3; }
.matched { fill: var(--matched); } .downloaded { fill: var(--downloaded); } .rest { fill: var(--rest); }
.s0 { fill: var(--s0); } .s1 { fill: var(--s1); } .s2 { fill: var(--s2); } .s3 { fill: var(--s3); }
.s4 { fill: var(--s4); } .s5 { fill: var(--s5); }
.step { fill: none; stroke-width: 2; }
.step.s0 { stroke: var(--s0); } .step.s1 { stroke: var(--s1); stroke-dasharray: 7 3; }
.step.s2 { stroke: var(--s2); stroke-dasharray: 2 3; }
.step.s3 { stroke: var(--s3); stroke-dasharray: 9 3 2 3; }
.step.s4 { stroke: var(--s4); stroke-dasharray: 12 4; } .step.s5 { stroke: var(--s5); stroke-dasharray: 4 4; }
.dots { fill: none; stroke-width: 3; stroke-linecap: round; }
.dots.s0 { stroke: var(--s0); } .dots.s1 { stroke: var(--s1); } .dots.s2 { stroke: var(--s2); }
.dots.s3 { stroke: var(--s3); } .dots.s4 { stroke: var(--s4); } .dots.s5 { stroke: var(--s5); }
.hit { fill: transparent; } .hit:hover { fill: var(--ink); fill-opacity: .08; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; padding: 0;
  margin: .2rem 0 .4rem; font-size: .88rem; }
.legend li { display: flex; align-items: baseline; gap: .4rem; overflow-wrap: anywhere; }
th .legend li { overflow-wrap: normal; }
.legend svg { flex: none; width: .8rem; height: .8rem; border-radius: 2px; }
details > summary { cursor: pointer; padding: .35rem 0; }
details > summary h2, details > summary h3 { display: inline; }
details.class { border-top: 1px solid var(--line); }
details.class > summary { position: relative; padding-left: 1.4rem; display: flex; flex-wrap: wrap;
  gap: 0 .8rem; align-items: baseline; }
details.class > summary::before { content: "▸"; color: var(--soft); position: absolute; left: 0; }
details.class[open] > summary::before { content: "▾"; }
details.class > summary::-webkit-details-marker { display: none; }
details.class > summary b { font-weight: 600; overflow-wrap: anywhere; }
details.class > div { padding: 0 0 1rem; scroll-margin-top: 6rem; }
.index { columns: 15rem; column-gap: 1.4rem; list-style: none; padding: 0; margin: .6rem 0;
  font-size: .92rem; }
.index li { break-inside: avoid; padding: .1rem 0; overflow-wrap: anywhere; }
.letters { display: flex; flex-wrap: wrap; gap: .2rem .7rem; padding: 0; margin: .3rem 0; list-style: none; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--cell), 1fr)); gap: .7rem; }
.sheet figure { font-size: .8rem; line-height: 1.35; }
.sheet .frame { display: grid; place-items: center; width: 100%; aspect-ratio: 1; border-radius: 6px;
  background: var(--back); border: 1px solid var(--line); color: var(--soft); text-align: center;
  overflow: hidden; }
.sheet .frame { position: relative; }
.sheet img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
.ends { display: flex; flex-wrap: wrap; gap: .7rem 1.6rem; }
.ends > div { flex: 1 1 calc(var(--cell) * var(--each) + var(--each) * .7rem); }
.ends .soft { margin: 0 0 .3rem; }
.sheet figcaption { overflow-wrap: anywhere; }
.sheet figcaption b { font-weight: 600; color: var(--ink); font-variant-numeric: tabular-nums; }
.sheet figcaption b span { white-space: nowrap; }
.sheet figcaption .caption { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3;
  overflow: hidden; color: var(--ink); }
.reason { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .9em; }
.url { font-size: .82rem; overflow-wrap: anywhere; color: var(--soft); }
footer { color: var(--soft); font-size: .88rem; padding: .4rem 0 2rem; }
@media (max-width: 600px) {
  body { font-size: 14px; }
  section { padding: .8rem; border-radius: 8px; }
  dl.facts { grid-template-columns: 1fr; } dl.facts dd { margin-bottom: .4rem; }
  .index { columns: 8.5rem; }
  .chart { min-width: 880px; } .chart.small .tick { font-size: 14px; } thead th, th.n { white-space: normal; }
  td.bars:last-child, thead th:last-child:empty { display: none; }
  td.bars { min-width: 5rem; } th[scope=row] { min-width: 6rem; } td { min-width: 3rem; }
}
@media print {
  nav { display: none; } section { border: 0; padding: 0; } .scroll { overflow: visible; background: none; }
  h2, h3, summary { break-after: avoid; } tr, figure { break-inside: avoid; } .chart { min-width: 0; }
}
"""
