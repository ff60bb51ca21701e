// Review: one photo after the other, by keyboard. What is said lies beside the model's answer.

import { address, call, get } from "./api.js";
import { el, say } from "./elements.js";
import { knownLabels, labelOptions } from "./filters.js";
import { groupMark } from "./gallery.js";
import { Listing } from "./listing.js";
import { framed } from "./picture.js";
import { empty, failed, loading } from "./states.js";
import { show } from "./thumbnails.js";
import { CONFIDENCE, count, fileName, isInDoubt, isReviewed, isUnknown, labelText, percent } from "./words.js";

// A label that was typed keeps its key: 6 to 9, the model's own have 1 to 5.
const BEST = 5;
const TYPED = 4;
const AHEAD = 10;
const ASKED = ["label", "group", "max_confidence", "model", "since"];

// What was said and is not written yet would be lost with the window.
let pending = 0;
const askToStay = (event) => event.preventDefault();

export class Review {
  title = "Review";

  constructor(query) {
    this.typed = [];
    this.types = 0;
    this.decided = [];
    this.count = 0;
    this.writes = Promise.resolve();
    this.onKey = (event) => this.#key(event);
    this.stopPicture = () => {};
    this.stage = el("div", { class: "stage" }, loading());
    this.said = el("p", { class: "soft", role: "status" });
    this.trouble = el("div", {});
    this.root = el("div", { class: "review" }, el("h1", { class: "unseen" }, "Review"),
      this.#queue(query), this.trouble, this.stage);
    this.query = query;
  }

  start() {
    addEventListener("keydown", this.onKey);
    this.#begin();
  }

  stop() {
    removeEventListener("keydown", this.onKey);
    this.listing?.stop();
    this.stopPicture();
  }

  change(query) {
    this.query = query;
    this.listing?.stop();
    this.stopPicture();
    this.stage.replaceChildren(loading());
    this.#begin();
  }

  // Which photos: the least sure first.
  #queue(query) {
    const field = (name, text, attributes) => {
      const input = el("input", { type: "search", value: query.get(name) ?? "", ...attributes,
        onchange: () => input.reportValidity() && this.#ask(name, input.value.trim()) });
      return el("label", { class: "field" }, el("span", {}, text), input);
    };
    const again = el("input", { type: "checkbox", checked: query.get("reviewed") === "true",
      onchange: () => this.#ask("reviewed", again.checked ? "true" : "") });
    const fields = el("div", { class: "line queue" },
      field("label", "Label", { list: "review-labels", placeholder: "Any label" }),
      field("group", "Group", { placeholder: "Any group" }),
      field("max_confidence", "Confidence up to", { type: "number", min: "0", max: "1", step: "0.01", placeholder: "1" }),
      el("label", { class: "check" }, again, " Look again at reviewed photos"));
    return el("div", { class: "line" },
      el("details", { open: matchMedia("(min-width: 60rem)").matches }, el("summary", {}, "Which photos"), fields), this.said);
  }

  #ask(name, value) {
    const query = new URLSearchParams(this.query);
    query.delete("id");
    if (value) query.set(name, value);
    else query.delete(name);
    location.hash = `#/review?${query}`;
  }

  async #begin() {
    const { query } = this;
    const asked = Object.fromEntries(ASKED.map((name) => [name, query.get(name) ?? ""]));
    const reviewed = query.get("reviewed") === "true";
    const all = { ...asked, reviewed, status: "CLASSIFIED", sort: "least_sure" };
    this.listing = null;
    // What the model itself calls unknown comes before what it is least sure of.
    const unknown = asked.label ? undefined : (await knownLabels()).find(isUnknown);
    if (this.query !== query) return;
    // Where two models disagree, one of them is wrong.
    const disagreement = { ...all, disagreement: "true" };
    this.listing = new Listing(...(unknown ? [{ ...all, label: unknown }] : []), disagreement, all);
    this.place = -1;
    this.first = query.get("id");
    await this.#next();
  }

  async #next() {
    const { listing } = this;
    this.place += 1;
    while (this.place >= listing.rows.length && !listing.isWhole && !listing.problem) {
      await listing.more();
      if (listing.isStopped) return; // the user has left, or has asked for other photos
      if (listing.isPaused) listing.isPaused = false;
    }
    if (listing.rows.length - this.place < AHEAD) listing.more();
    if (listing.problem) {
      this.stage.replaceChildren(failed(listing.problem, () => this.change(this.query)));
      return;
    }
    const isAsked = Boolean(this.first);
    const id = this.first ?? listing.rows[this.place]?.id;
    if (isAsked) this.place -= 1;
    this.first = null;
    if (id === undefined) this.#done();
    else await this.#show(id, { isAsked });
  }

  #done() {
    this.record = null;
    this.#tell();
    this.stage.replaceChildren(empty("Nothing is left to review",
      "Every photo of this queue has been looked at. ",
      el("a", { href: "#/gallery?reviewed=true" }, "See the reviewed photos"), "."));
    say("Nothing is left to review");
  }

  // A photo that was asked for is shown whatever was said of it.
  async #show(id, { isAsked }) {
    this.stopPicture();
    this.record = null;
    let record;
    try {
      record = await get(`predictions/${id}`);
    } catch (problem) {
      this.stage.replaceChildren(failed(problem, () => this.#show(id, { isAsked }), { isOfId: true }));
      return;
    }
    const isDone = isReviewed(record) && !isAsked && this.query.get("reviewed") !== "true";
    if (record.status !== "CLASSIFIED" || isDone) {
      await this.#next(); // rejected, deleted or reviewed since it was listed
      return;
    }
    if (!(await this.#claim(record, isAsked))) return;
    this.record = record;
    this.#draw(record);
  }

  // Returns whether the photo is ours to review.
  async #claim(record, isAsked) {
    try {
      await this.#put(record, "claim");
      return true;
    } catch (problem) {
      if (problem.status === 409) {
        say("Another person is reviewing this photo. Here is the next one.");
        await this.#next();
        return false;
      }
      this.stage.replaceChildren(failed(problem, () => this.#show(record.id, { isAsked })));
      return false;
    }
  }

  async #put(record, action, label) {
    const body = { action, version: record.version, ...(label === undefined ? {} : { label }) };
    const answer = await call(address(`images/${record.id}/review`), { method: "PUT", body });
    return answer.json();
  }

  #draw(record) {
    const { frame, image } = framed(record);
    this.stopPicture = show(image, record, 1024);
    this.choices = this.#choices(record);
    this.stage.replaceChildren(el("div", { class: "large" }, frame, el("p", { class: "soft small file" }, fileName(record))), el("div", {},
      el("h2", {}, "The model says ", el("em", { class: isInDoubt(record) ? "doubt" : null }, labelText(record.label)), " ", el("span", { class: "number soft" }, percent(record.confidence))),
      record.group ? el("p", {}, groupMark(record)) : null,
      record.candidate && record.candidate.label !== record.label ? el("p", { class: "doubt" },
        `${record.candidate.model}, a candidate on trial, says ${labelText(record.candidate.label)} ${percent(record.candidate.confidence)}.`) : null,
      isReviewed(record) ? el("p", { class: "soft" }, `Reviewed by ${record.review.by}.`) : null,
      el("ol", { class: "choices" }, this.choices.map((each) => el("li", {}, this.#button(each)))),
      this.#other(),
      el("p", { class: "soft small" }, CONFIDENCE)));
    this.#tell();
    say(`${labelText(record.label)}, confidence ${percent(record.confidence)}`);
  }

  #choices(record) {
    const best = record.predictions.map((each) => each.label).filter((label) => label !== record.label).slice(0, BEST);
    const confirm = () => this.#decide("confirm");
    const numbered = (from) => (label, place) => ({
      key: String(from + place), shown: String(from + place), text: labelText(label),
      act: label === record.label ? confirm : () => this.#decide("correct", label),
    });
    return [
      { key: "Enter", shown: "⏎", text: `Yes, ${labelText(record.label)}`, act: confirm, main: true },
      ...best.map(numbered(1)), ...this.typed.map(numbered(1 + BEST)),
      { key: "l", shown: "L", text: "Another label …", act: () => this.other.focus() },
      { key: "n", shown: "N", text: "Not one of these", act: () => this.#decide("none_of_these") },
      { key: "s", shown: "S", text: "Skip", act: () => this.#decide("skip") },
      { key: "u", shown: "U", text: "Undo", act: () => this.#undo() },
    ];
  }

  #button({ shown, text, act, main }) {
    return el("button", { type: "button", class: main ? "primary" : null, onclick: act },
      el("kbd", { "aria-hidden": "true" }, shown), text);
  }

  #other() {
    const names = el("datalist", { id: "review-labels" });
    labelOptions().then((options) => names.append(...options));
    this.other = el("input", { type: "search", list: "review-labels", autocomplete: "off", spellcheck: "false",
      onkeydown: (event) => {
        if (event.key === "Escape") this.other.blur();
        if (event.key === "Enter" && this.other.value.trim()) this.#decideTyped(this.other.value.trim());
        if (event.key === "Enter" || event.key === "Escape") event.preventDefault();
      } });
    return el("label", { class: "field" }, el("span", {}, "Another label, then Enter"), this.other, names);
  }

  #key(event) {
    if (event.target.closest("input, select, textarea, a, summary") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" && event.target.closest("button")) return; // the button's own
    const key = event.key === "Enter" ? "Enter" : event.key.toLowerCase();
    const choice = this.record ? this.choices.find((each) => each.key === key) : key === "u" ? { act: () => this.#undo() } : null;
    if (!choice) return;
    event.preventDefault();
    choice.act();
  }

  #decideTyped(label) {
    if (!this.typed.includes(label)) {
      this.typed[this.types % TYPED] = label;
      this.types += 1;
    }
    this.#decide("correct", label);
  }

  // The next photo comes at once; what was said is written behind it, one after the other.
  #decide(action, label) {
    const { record } = this;
    if (!record) return;
    this.record = null;
    if (action !== "skip") this.count += 1;
    const decision = { record, action, isToUndo: false };
    this.decided.push(decision);
    // Skipping what was reviewed says nothing: an undo would take back what was said before.
    if (action !== "skip" || !isReviewed(record)) this.#write(decision, action === "confirm" ? record.label : label);
    this.#next();
  }

  #write(decision, label) {
    const { record, action } = decision;
    pending += 1;
    addEventListener("beforeunload", askToStay);
    this.writes = this.writes.then(async () => {
      const written = await this.#put(record, action, label);
      // The skip of what somebody reviewed meanwhile has left their word as it is.
      decision.isToUndo = action !== "skip" || !isReviewed(written);
    }).catch((problem) => this.#refused(decision, problem)).finally(() => {
      pending -= 1;
      if (!pending) removeEventListener("beforeunload", askToStay);
    });
  }

  #refused(decision, problem) {
    const { record } = decision;
    this.decided = this.decided.filter((each) => each !== decision);
    const box = el("p", { class: "warning", role: "alert" }, `${fileName(record)} was not saved: ${problem.message} `,
      el("button", { type: "button", onclick: () => {
        box.remove();
        this.place -= 1;
        this.#show(record.id, { isAsked: true });
      } }, "Look at it again"));
    this.trouble.append(box);
  }

  async #undo() {
    const last = this.decided.pop();
    if (!last) {
      say("Nothing to undo");
      return;
    }
    await this.writes;
    try {
      if (last.isToUndo) await this.#put(last.record, "undo");
    } catch (problem) {
      this.#refused(last, problem);
      return;
    }
    if (last.action !== "skip") this.count -= 1;
    this.place -= this.record ? 1 : 0;
    say(`Undone: ${fileName(last.record)}`);
    await this.#show(last.record.id, { isAsked: true });
  }

  #tell() {
    const { rows, isWhole } = this.listing;
    const left = Math.max(0, rows.length - this.place);
    this.said.textContent =
      `${count(this.count)} reviewed now, ${count(left)}${isWhole ? "" : " or more"} to go`;
  }
}
