// Small charts as SVG elements. Each has its numbers as text for those who do not see it.

import { el, svg } from "./elements.js";
import { count } from "./words.js";

const WIDTH = 600;
const HEIGHT = 140;

// columns: [{name, parts: [[class, value], …]}]
export function columns(title, items) {
  const top = Math.max(1, ...items.map(({ parts }) => sum(parts)));
  const step = WIDTH / items.length;
  const bars = items.flatMap(({ name, parts }, place) => {
    let base = HEIGHT;
    return parts.filter(([, value]) => value).map(([kind, value]) => {
      const height = Math.max(1, (value / top) * (HEIGHT - 4));
      base -= height;
      return svg("rect", { class: kind, x: place * step + step * 0.1, y: base, width: step * 0.8, height, rx: 1 },
        svg("title", {}, `${name}: ${count(value)}`));
    });
  });
  const said = items.map(({ name, parts }) => `${name}: ${count(sum(parts))}`).join(", ");
  return el("figure", { class: "chart" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${said}`, preserveAspectRatio: "none" },
      svg("line", { class: "axis", x1: 0, y1: HEIGHT, x2: WIDTH, y2: HEIGHT }), bars),
    el("figcaption", { class: "ends soft small" },
      el("span", {}, items[0]?.name ?? ""), el("span", {}, `most: ${count(top)}`), el("span", {}, items.at(-1)?.name ?? "")));
}

// rows: [{name, value, href?, note?, kind?}], largest first.
export function ranking(rows, kind = "") {
  const top = Math.max(1, ...rows.map(({ value }) => value));
  return el("ol", { class: "bars" }, rows.map(({ name, value, href, note, kind: own }) => {
    const fill = el("i", { class: `meter ${own || kind}` });
    fill.style.transform = `scaleX(${value / top})`;
    return el("li", {},
      el("span", {}, href ? el("a", { href }, name) : name),
      el("span", { class: "track" }, fill), el("span", { class: "number" }, count(value)),
      note ? el("span", { class: "soft small note" }, note) : null);
  }));
}

function sum(parts) {
  return parts.reduce((total, [, value]) => total + value, 0);
}
