// Overview: what came, what it was, how sure the model was, what it cost, whether it changed.

import { get } from "./api.js";
import { columns, ranking } from "./charts.js";
import { driftSection } from "./drift.js";
import { el } from "./elements.js";
import { host } from "./sign_in.js";
import { empty, failed, loading } from "./states.js";
import { CONFIDENCE, count, dollars, isUnknown, labelText, reasonOf } from "./words.js";

const SPANS = [["7", "7 days"], ["30", "30 days"], ["90", "90 days"]];
const LABELS = 15;

export class Overview {
  title = "Overview";

  constructor(query) {
    this.days = SPANS.some(([days]) => days === query.get("days")) ? query.get("days") : "30";
    this.body = el("div", {}, loading());
    this.root = el("div", { class: "overview" },
      el("div", { class: "line" }, el("h1", {}, "Overview"),
        el("div", { class: "line", role: "group", "aria-label": "Span" }, SPANS.map(([days, text]) => el("a", {
          class: "button", href: `#/overview?days=${days}`, "aria-current": days === this.days ? "true" : null,
        }, text)))),
      this.body);
  }

  async start() {
    try {
      const [{ days }, facts] = await Promise.all([get("summary", { days: this.days }), host()]);
      this.body.replaceChildren(...drawn(days, facts, Number(this.days)));
    } catch (problem) {
      this.body.replaceChildren(failed(problem, () => this.start()));
    }
  }

  change(query) {
    const fresh = new Overview(query);
    this.root.replaceChildren(...fresh.root.childNodes);
    Object.assign(this, { days: fresh.days, body: fresh.body });
    this.start();
  }
}

function drawn(days, facts, span) {
  const statuses = added(days, "statuses");
  const all = (statuses.CLASSIFIED ?? 0) + (statuses.REJECTED ?? 0);
  if (!all) return [empty("No photos in this time", "Drop some, or choose a longer span.")];
  return [
    el("div", { class: "tiles" },
      tile(count(statuses.CLASSIFIED ?? 0), "classified"),
      tile(count(statuses.REJECTED ?? 0), "rejected", `${((100 * (statuses.REJECTED ?? 0)) / all).toFixed(1)} % of all`),
      tile(all / span < 10 ? (all / span).toFixed(1) : count(Math.round(all / span)), "a day", `most: ${count(Math.max(...days.map(ofDay)))}`),
      facts.dollars_per_image ? tile(`≈ ${dollars(all * facts.dollars_per_image)}`, "cost so far",
        "an estimate for AWS, as if each was dropped alone")
        // The stack knows no prices; those of the command line have a date.
        : tile(count(all), "images to pay for", ["print their cost with: ", el("code", {}, `imagedrop cost --images ${all}`)])),
    part("Photos by day", columns("Photos by day", filled(days, span)),
      el("p", { class: "soft small" }, key("s0", "classified"), key("bad", "rejected"))),
    el("div", { class: "halves" },
      part("Labels", ranking(largest(added(days, "labels"), LABELS).map(([label, value]) => ({
        name: labelText(label), value, href: `#/gallery?label=${encodeURIComponent(label)}`,
        kind: isUnknown(label) ? "doubtful" : "",
      })))),
      el("div", {},
        part("Confidence", columns("Photos by confidence", histogram(days)), el("p", { class: "soft small" }, CONFIDENCE)),
        rejections(days),
        part("Models", ranking(largest(added(days, "models"), 10).map(([model, value]) => ({
          name: model, value, href: `#/gallery?model=${encodeURIComponent(model)}`,
        })), "other")))),
    driftSection(),
  ];
}

function tile(number, what, note) {
  return el("div", { class: "tile" }, el("b", {}, number), what, note ? el("span", { class: "soft small" }, note) : null);
}

function key(kind, text) {
  return el("span", { class: `key ${kind}` }, text);
}

function part(title, ...content) {
  return el("section", {}, el("h2", {}, title), content);
}

function added(days, name) {
  const total = {};
  for (const day of days) {
    for (const [each, value] of Object.entries(day[name] ?? {})) total[each] = (total[each] ?? 0) + value;
  }
  return total;
}

function largest(counted, most) {
  return Object.entries(counted).sort(([, a], [, b]) => b - a).slice(0, most);
}

function ofDay(day) {
  return (day.statuses.CLASSIFIED ?? 0) + (day.statuses.REJECTED ?? 0);
}

// Days without a photo have a column too, of no height.
function filled(days, span) {
  const known = new Map(days.map((day) => [day.day, day]));
  const last = new Date(`${[...known.keys()].sort().at(-1)}T00:00:00Z`).valueOf();
  return Array.from({ length: span }, (_, place) => {
    const name = new Date(last - (span - 1 - place) * 86_400_000).toISOString().slice(0, 10);
    const { statuses = {} } = known.get(name) ?? {};
    return { name, parts: [["s0", statuses.CLASSIFIED ?? 0], ["bad", statuses.REJECTED ?? 0]] };
  });
}

function histogram(days) {
  return Array.from({ length: 10 }, (_, bin) => ({
    name: `${(bin / 10).toFixed(1)} to ${((bin + 1) / 10).toFixed(1)}`,
    parts: [["s0", days.reduce((total, day) => total + (day.confidence?.[bin] ?? 0), 0)]],
  }));
}

function rejections(days) {
  const rows = largest(added(days, "reasons"), 12).map(([reason, value]) => {
    const [name, note] = reasonOf(reason);
    return { name, value, note, href: "#/gallery?status=REJECTED" };
  });
  return part("Rejected, and why", rows.length ? ranking(rows, "bad") : el("p", { class: "soft" }, "Nothing was rejected."));
}
