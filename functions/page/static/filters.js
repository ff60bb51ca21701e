// The filters of the gallery. The address holds them, under the names that the API has for them.

import { get } from "./api.js";
import { el } from "./elements.js";
import { labelText, plain } from "./words.js";

export const NAMES = [
  "label", "status", "min_confidence", "max_confidence", "since", "until", "model", "source",
  "reviewed", "disagreement", "group", "sort",
];

const CHOICES = {
  status: [["", "Any status"], ["CLASSIFIED", "Classified"], ["REJECTED", "Rejected"], ["DELETED", "Deleted"]],
  since: [["", "Any time"], ["1h", "Last hour"], ["24h", "Last 24 hours"], ["7d", "Last 7 days"], ["30d", "Last 30 days"]],
  source: [["", "Any source"], ["drop", "Dropped"], ["bulk", "Bulk run"]],
  reviewed: [["", "Reviewed or not"], ["true", "Reviewed"], ["false", "Not reviewed"]],
  disagreement: [["", "Agreed or not"], ["true", "Two models disagree"], ["false", "No disagreement"]],
  sort: [["", "Newest first"], ["oldest", "Oldest first"], ["most_sure", "Most sure first"], ["least_sure", "Least sure first"]],
};
const TITLES = {
  label: "Label", status: "Status", min_confidence: "Confidence", max_confidence: "to",
  since: "Time", until: "Until", model: "Model", source: "Source", reviewed: "Review", disagreement: "Candidate",
  group: "Group", sort: "Sort",
};

export function filtersOf(query) {
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
}

export function queryOf(filters) {
  const given = NAMES.filter((name) => filters[name] !== "" && filters[name] !== undefined);
  return new URLSearchParams(given.map((name) => [name, filters[name]])).toString();
}

// How the answers' labels are known: from the served model, once.
let labels;
function served() {
  labels ??= get("labels").catch(() => {
    labels = undefined;
    return { labels: [], names: {} };
  });
  return labels;
}

export async function knownLabels() {
  return (await served()).labels;
}

// Of a list to choose from: what is sent, and the model's own name of it where it has one.
export async function labelOptions() {
  const { labels: known, names = {} } = await served();
  return known.map((label) => el("option", { value: label }, names[label] ?? labelText(label)));
}

export class Filters {
  constructor(filters, onChange) {
    this.filters = filters;
    this.onChange = onChange;
    this.labels = el("datalist", { id: "labels" });
    labelOptions().then((options) => this.labels.append(...options));
    this.count = el("span", { class: "badge" });
    this.fields = {};
    this.root = el("details", { class: "filters", open: matchMedia("(min-width: 60rem)").matches },
      el("summary", {}, "Filters ", this.count),
      el("div", { class: "fields" },
        this.#text("label", { list: "labels", placeholder: "Any label" }),
        this.#select("status"), this.#confidence(), this.#select("since"), this.#select("reviewed"), this.#select("disagreement"),
        this.#text("group", { placeholder: "Any group" }), this.#text("model", { placeholder: "Any model" }),
        this.#select("source"), this.#select("sort")),
      this.labels);
    this.chips = el("div", { class: "chips" });
    this.set(filters);
  }

  set(filters) {
    this.filters = filters;
    for (const [name, field] of Object.entries(this.fields)) field.value = filters[name];
    const given = NAMES.filter((name) => name !== "sort" && filters[name] !== "");
    this.count.textContent = given.length || "";
    this.chips.replaceChildren(...given.map((name) => this.#chip(name)));
    if (given.length > 1) {
      this.chips.append(el("button", { type: "button", class: "plain", onclick: () => this.#clear() }, "Clear all"));
    }
  }

  #chip(name) {
    const value = this.filters[name];
    const choice = (CHOICES[name] || []).find(([each]) => each === value);
    const text = choice ? choice[1] : `${chipTitle(name)} ${name === "label" ? labelText(value) : value}`;
    return el("button", {
      type: "button", class: "chip", "aria-label": `Remove the filter ${text}`,
      onclick: () => this.#change(name, ""),
    }, text, el("span", { "aria-hidden": "true" }, " ×"));
  }

  #clear() {
    this.onChange({ ...filtersOf(new URLSearchParams()), sort: this.filters.sort });
  }

  #change(name, value) {
    if (this.filters[name] === value) return;
    this.onChange({ ...this.filters, [name]: value });
  }

  #text(name, attributes) {
    const input = el("input", {
      type: "search", autocomplete: "off", spellcheck: "false", ...attributes,
      onchange: () => this.#change(name, input.value.trim()),
    });
    return this.#field(name, input);
  }

  #select(name) {
    const select = el("select", { onchange: () => this.#change(name, select.value) },
      CHOICES[name].map(([value, text]) => el("option", { value }, text)));
    return this.#field(name, select);
  }

  #confidence() {
    const ends = ["min_confidence", "max_confidence"].map((name) => {
      const input = el("input", {
        type: "number", min: "0", max: "1", step: "0.01", inputmode: "decimal",
        placeholder: name.startsWith("min") ? "0" : "1",
        onchange: () => input.reportValidity() && this.#change(name, input.value),
      });
      return this.#field(name, input);
    });
    return el("div", { class: "range" }, ends);
  }

  #field(name, control) {
    this.fields[name] = control;
    return el("label", { class: "field" }, el("span", {}, TITLES[name]), control);
  }
}

function chipTitle(name) {
  return { min_confidence: "Confidence from", max_confidence: "Confidence to" }[name] || `${plain(name)}:`;
}
