// Photo: one image, large, with everything that is known about it.

import { address, call, get } from "./api.js";
import { el, icon, svg } from "./elements.js";
import { current, groupMark } from "./gallery.js";
import { framed } from "./picture.js";
import { failed, loading } from "./states.js";
import { canBeShown, show } from "./thumbnails.js";
import {
  ACTIONS, bytes, CONFIDENCE, fileName, isInDoubt, isReviewed, labelText, percent, plain, reasonOf, time, titleOf,
} from "./words.js";

export class Photo {
  title = "Photo";

  constructor(_query, id) {
    this.id = id;
    this.root = el("article", { class: "photo" }, loading());
    this.stopPicture = () => {};
    this.onKey = (event) => this.#key(event);
  }

  start() {
    addEventListener("keydown", this.onKey);
    this.#load();
  }

  stop() {
    removeEventListener("keydown", this.onKey);
    this.stopPicture();
  }

  async #load() {
    try {
      this.record = await get(`predictions/${this.id}`);
    } catch (problem) {
      this.root.replaceChildren(failed(problem, () => this.#load(), { isOfId: true }));
      return;
    }
    this.#draw(this.record);
  }

  #draw(record) {
    document.title = `${titleOf(record)} – imagedrop`;
    this.root.replaceChildren(
      this.#bar(record),
      this.#picture(record),
      el("div", { class: "about" },
        this.#verdict(record), this.#review(record), facts(record), this.#download(record)),
      el("div", { class: "more" },
        section("History", () => history(record)), section("How it got here", () => trace(record))));
  }

  #bar(record) {
    const rows = current?.listing.rows ?? [];
    const here = rows.findIndex((each) => each.id === this.id);
    this.before = here > 0 ? rows[here - 1] : null;
    this.after = here >= 0 ? rows[here + 1] : null;
    const step = (to, name, text) => el("a", {
      class: "button", "aria-label": text, title: text,
      href: to ? `#/photo/${to.id}` : null, "aria-disabled": to ? null : "true",
    }, icon(name));
    return el("div", { class: "line bar" },
      el("a", { class: "button", href: `#/gallery?${current?.wanted ?? ""}` }, icon("gallery"), "Gallery"),
      el("h1", { class: "file" }, fileName(record)),
      el("span", { class: "steps" },
        step(this.before, "back", "Previous photo"), step(this.after, "next", "Next photo")));
  }

  #key(event) {
    if (event.target.closest("input, select, textarea") || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = { ArrowLeft: this.before, ArrowRight: this.after }[event.key];
    if (to) location.hash = `#/photo/${to.id}`;
  }

  #picture(record) {
    const { frame, image, instead } = framed(record);
    const column = el("div", { class: `large ${record.status.toLowerCase()}` }, frame);
    if (!canBeShown(record)) {
      image.remove();
      instead.textContent = record.status === "REJECTED" ? "!" : "deleted";
      return column;
    }
    this.stopPicture = show(image, record, 1024, (problem) => {
      instead.textContent = problem.status === 404 || problem.status === 501
        ? `No picture: ${problem.detail || "this stack makes none"}` : problem.message;
    });
    column.append(why(record, frame));
    return column;
  }

  #verdict(record) {
    if (record.status === "REJECTED") {
      const [what, todo] = reasonOf(record.reason);
      return el("section", { class: "verdict bad" },
        el("h2", {}, what), el("p", {}, todo),
        el("p", { class: "soft" }, "It was rejected before any model saw it. Reason: ", el("code", {}, record.reason ?? "")));
    }
    if (record.status === "DELETED") {
      return el("section", { class: "verdict" }, el("h2", {}, "Deleted"),
        el("p", {}, "The photo is no longer in the bucket. Its row is kept so that a late event cannot bring it back."));
    }
    return el("section", { class: "verdict" },
      el("h2", { class: isInDoubt(record) ? "doubt" : null }, labelText(record.label), " ", el("span", { class: "number soft" }, percent(record.confidence))),
      record.group ? el("p", {}, groupMark(record),
        isInDoubt(record) ? " The model is sure of the group and not of the label." : null) : null,
      record.predictions.some((each) => each.label === record.label) ? null
        : el("p", { class: "soft" }, "It is sure of none of its own labels; the closest are:"),
      bars(record), besideIt(record),
      el("p", { class: "soft small" }, CONFIDENCE));
  }

  #review(record) {
    if (record.status !== "CLASSIFIED") return null;
    const link = el("a", { class: "button", href: `#/review?id=${record.id}` }, icon("review"),
      isReviewed(record) ? "Review again" : "Review");
    if (!isReviewed(record)) return el("p", {}, link);
    const { review } = record;
    return el("p", {},
      el("span", { class: "mark good" }, "✓ ", plain(ACTIONS[review.action])), " ",
      review.action === "correct" ? el("strong", {}, labelText(review.label)) : null,
      el("span", { class: "soft" }, ` by ${review.by}, ${time(review.at)} `), link);
  }

  #download(record) {
    const text = JSON.stringify(record, null, 2);
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    return el("p", {}, el("a", {
      class: "button", href: url, download: `${fileName(record).split("/").pop()}.json`,
    }, icon("drop"), "Download this row"));
  }
}

// The answer of a candidate on trial; never the photo's answer.
function besideIt({ candidate, label }) {
  if (!candidate) return null;
  const said = `${labelText(candidate.label)} ${percent(candidate.confidence)}`;
  return el("p", { class: candidate.label === label ? "soft" : "doubt" },
    `${candidate.model}, a candidate on trial, ${candidate.label === label ? "agrees" : "disagrees"}: ${said}`);
}

function bars(record) {
  return el("ol", { class: "bars", "aria-label": "The five best labels" },
    record.predictions.map((each) => {
      const fill = el("i", { class: each.label === record.label ? "meter" : "meter other" });
      fill.style.transform = `scaleX(${each.confidence})`;
      return el("li", {},
        el("a", { href: `#/gallery?label=${encodeURIComponent(each.label)}` }, labelText(each.label)),
        el("span", { class: "track" }, fill),
        el("span", { class: "number" }, percent(each.confidence)));
    }));
}

function facts(record) {
  const rows = [
    ["File", `${record.format ?? "unknown"}${record.width ? `, ${record.width} × ${record.height}` : ""}, ${bytes(record.bytes)}`],
    ["Model", record.model], ["Source", record.source === "bulk" ? "a bulk run" : "a drop"],
    ["Received", time(record.received_at)], ["Classified", time(record.classified_at)],
    ["Key", record.key], ["Version", record.version],
  ];
  return el("dl", { class: "facts" },
    rows.filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function section(title, load) {
  const body = el("div", {}, loading());
  const box = el("details", {}, el("summary", {}, title), body);
  box.addEventListener("toggle", async () => {
    if (!box.open) return;
    try {
      body.replaceChildren(await load());
    } catch (problem) {
      body.replaceChildren(failed(problem));
    }
  });
  return box;
}

async function history(record) {
  const { versions } = await get(`images/${record.id}/history`);
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, ["When", "Answer", "Confidence", "Model", "Version"].map((each) => el("th", { scope: "col" }, each)))),
    el("tbody", {}, versions.map((each) => el("tr", {},
      el("td", { class: "whole" }, time(each.classified_at)),
      el("td", {}, titleOf(each)),
      el("td", { class: "number" }, percent(each.confidence)),
      el("td", {}, each.model ?? ""),
      el("td", { class: "soft" }, each.version.slice(0, 12)))))));
}

async function trace(record) {
  const { steps } = await get(`images/${record.id}/trace`);
  let before = null;
  return el("ol", { class: "trace" }, steps.map((step) => {
    const since = before === null ? "" : took(new Date(step.at) - before);
    before = new Date(step.at);
    return el("li", {}, el("strong", {}, plain(step.what)), " ", el("span", { class: "soft" }, time(step.at), since),
      step.detail ? el("p", { class: "soft" }, String(step.detail)) : null);
  }));
}

function took(milliseconds) {
  return milliseconds < 0 ? "" : `, ${(milliseconds / 1000).toFixed(1)} s later`;
}

// Where the model looked: drawn over the photo, on request, because the endpoint computes it.
function why(record, frame) {
  const note = el("span", { class: "soft small" });
  let drawn = null;
  const button = el("button", {
    type: "button", "aria-pressed": "false",
    onclick: async () => {
      const wanted = button.getAttribute("aria-pressed") === "false";
      button.setAttribute("aria-pressed", String(wanted));
      if (drawn) {
        drawn.hidden = !wanted;
        return;
      }
      button.disabled = true;
      note.textContent = "The model looks again …";
      try {
        const found = await get(`images/${record.id}/explanation`);
        drawn = heat(found);
        frame.append(drawn);
        const how = found.method === "occlusion" ? "covering it takes from" : "it spoke for";
        note.textContent = `The brighter, the more ${how} ${labelText(found.label)}.`;
      } catch (problem) {
        button.setAttribute("aria-pressed", "false");
        // A stack without this route names the path; a model without a map says why.
        const hasReason = problem.status !== 404 || !/^there is no \//.test(problem.detail ?? "");
        note.textContent = (hasReason && problem.detail) || "This stack cannot show where its model looks.";
      }
      button.disabled = false;
    },
  }, "Where did the model look?");
  return el("p", { class: "line" }, button, note);
}

function heat({ map, box }) {
  const canvas = el("canvas", { class: "heat", width: map[0].length, height: map.length, "aria-hidden": "true" });
  const brush = canvas.getContext("2d");
  map.forEach((line, y) => line.forEach((value, x) => {
    brush.fillStyle = `rgba(255, ${Math.round(230 - 200 * value)}, 0, ${(0.75 * value).toFixed(3)})`;
    brush.fillRect(x, y, 1, 1);
  }));
  for (const [name, value] of [["left", box.x], ["top", box.y], ["width", box.width], ["height", box.height]]) {
    canvas.style[name] = `${100 * value}%`;
  }
  return canvas;
}
