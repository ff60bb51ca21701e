// Models: which one answers, which could, and their figures side by side.

import { get } from "./api.js";
import { el, say } from "./elements.js";
import { host } from "./sign_in.js";
import { empty, failed, loading } from "./states.js";
import { count, plain, time } from "./words.js";

const APPROVALS = { Approved: "approved", PendingManualApproval: "waits for approval", Rejected: "rejected" };

export class Models {
  title = "Models";

  constructor() {
    this.body = el("div", {}, loading());
    this.root = el("div", {}, el("h1", {}, "Models"), this.body);
  }

  async start() {
    try {
      const [{ models }, facts] = await Promise.all([get("models"), host()]);
      this.body.replaceChildren(...drawn(models, facts));
    } catch (problem) {
      this.body.replaceChildren(failed(problem, () => this.start()));
    }
  }
}

function drawn(models, facts) {
  if (!models.length) return [empty("No models", "Train one: ", el("code", {}, "imagedrop train FOLDER"))];
  const flat = models.map((each) => ({ ...each, figures: Object.fromEntries(figures(each.metrics ?? {})) }));
  const names = [...new Set(flat.flatMap((each) => Object.keys(each.figures)))];
  return [
    el("p", { class: "soft" }, "The figures of each model are those of its own evaluation; compare models on the same photos."),
    el("div", { class: "scroll" }, el("table", { class: "wide models" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Figure"), flat.map((each) => el("th", { scope: "col" },
        each.model, " ", each.answers ? el("span", { class: "mark good" }, "answers") : null)))),
      el("tbody", {},
        line("Approval", flat.map((each) => APPROVALS[each.approval] ?? each.approval ?? "")),
        line("Labels", flat.map((each) => (each.labels === undefined ? "" : count(each.labels)))),
        line("Registered", flat.map((each) => time(each.created_at))),
        line("Review needed below", flat.map((each) => each.threshold ?? "")),
        names.map((name) => line(plain(name), best(flat.map((each) => each.figures[name])))),
        line("Promote it", flat.map((each) => (each.answers ? "" : command(each.model, facts.target))))))),
  ];
}

function line(name, cells) {
  return el("tr", {}, el("th", { scope: "row" }, name), cells.map((cell) => el("td", {}, cell)));
}

function best(values) {
  return values.map((value) => (typeof value === "number" ? String(Math.round(value * 1e4) / 1e4) : value ?? ""));
}

// Metrics may be nested: dogs.top1.
function figures(metrics, prefix = "") {
  return Object.entries(metrics).flatMap(([name, value]) => {
    if (typeof value === "number" || (typeof value === "string" && value.length < 40)) return [[prefix + name, value]];
    if (value && typeof value === "object" && !Array.isArray(value)) return figures(value, `${prefix}${name} `);
    return [];
  });
}

function command(model, target) {
  const [name, version] = model.split("@");
  const text = `imagedrop promote ${name} --version ${version}${target === "aws" ? " --target aws" : ""}`;
  return el("span", { class: "line" }, el("code", {}, text), el("button", {
    type: "button", class: "plain", "aria-label": `Copy: ${text}`,
    onclick: async () => {
      await navigator.clipboard.writeText(text);
      say("Copied");
    },
  }, "Copy"));
}
