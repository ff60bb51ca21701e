// Drift: which property of which day differs from the days before, and from the model's own photos.

import { get } from "./api.js";
import { el } from "./elements.js";
import { failed } from "./states.js";
import { count, labelText, plain } from "./words.js";

const BEFORE = "days before";

// The section as an element that fills itself; nothing else waits for it.
export function driftSection() {
  const body = el("div", {}, el("p", { class: "soft", role: "status" }, "Comparing …"));
  load(body);
  return el("section", {}, el("h2", {}, "Drift"), body);
}

async function load(body) {
  try {
    const { compared } = await get("drift", {});
    body.replaceChildren(...drawn(compared));
  } catch (problem) {
    body.replaceChildren(failed(problem, () => load(body)));
  }
}

function drawn(compared) {
  const columns = [...new Set(compared.map(({ day, against }) => `${day} ${against}`))].reverse(); // the newest first
  const names = [...new Set(compared.map(({ what }) => what))];
  const found = new Map(compared.map((row) => [`${row.day} ${row.against} ${row.what}`, row]));
  const first = columns.map((column) => compared.find(({ day, against }) => `${day} ${against}` === column));
  return [
    el("p", { class: "soft small" }, "Each day's drops against the four weeks before them, and all of them against the photos that the ",
      "model was validated on. Only differences beyond chance count; it needs 30 photos a day, and 100 in the baseline."),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Drift by property and day" }, el("table", { class: "drift" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Property"), first.map((row) => el("th", { scope: "col" }, headOf(row))))),
      el("tbody", {}, names.map((what) => el("tr", {}, el("th", { scope: "row" }, plain(what)),
        columns.map((column) => el("td", {}, cell(found.get(`${column} ${what}`))))))))),
    el("ul", {}, compared.filter(({ drifts }) => drifts).map((row) => el("li", {}, sentence(row)))),
  ];
}

function headOf({ day, against }) {
  return against === BEFORE ? day.slice(5) : `all, to ${against}`;
}

// The numbers open by keyboard and by touch too, and are text that can be copied.
function cell(row) {
  if (!row || row.drifts === null) return el("span", { class: "soft" }, "too few");
  return el("details", {},
    el("summary", row.drifts ? { class: "mark bad" } : {}, row.drifts ? "drift" : "as before"),
    el("span", { class: "small" }, `index ${row.psi.toFixed(3)}, threshold ${row.threshold.toFixed(3)}, `,
      count(row.images, "photo")));
}

function sentence({ day, against, what, moved, was, now, images }) {
  const share = (value) => `${Math.round(100 * value)} %`;
  const before = against === BEFORE ? "before" : `of the photos of ${against}`;
  return `${day}: ${plain(what)}, most of all ${labelText(moved)}: ${share(now)} of ${count(images)}, ${share(was)} ${before}.`;
}
