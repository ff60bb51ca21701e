// The states of a section that has nothing to show: loading, empty, an error.

import { el } from "./elements.js";

export function loading(text = "Loading …") {
  return el("p", { class: "state", role: "status" }, text);
}

export function empty(title, ...what) {
  return el("div", { class: "state" }, el("h2", {}, title), el("p", {}, ...what));
}

// isOfId: the address holds an id, so that "not found" is about that.
export function failed(problem, retry, { isOfId = false } = {}) {
  if (problem.isMissingRoute && !isOfId) {
    return empty("This stack does not offer this yet",
      "It was deployed by an older version. Deploy the current template: ",
      el("code", {}, "imagedrop up"), " or ", el("code", {}, "imagedrop deploy"), ".");
  }
  return el("div", { class: "state bad", role: "alert" },
    el("h2", {}, problem.title || "Something went wrong"),
    el("p", {}, problem.detail || problem.message || ""),
    retry ? el("button", { type: "button", onclick: retry }, "Try again") : null);
}
