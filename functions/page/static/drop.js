// Drop: photos and folders dragged onto the page become rows while one looks.

import { el, icon, say } from "./elements.js";
import { groupMark, nearestMark } from "./gallery.js";
import { show } from "./thumbnails.js";
import { add, again, counts, ENDED, photos, watch } from "./uploads.js";
import { Windowed } from "./windowed.js";
import { count, CONFIDENCE, isInDoubt, percent, reasonOf, titleOf } from "./words.js";

const KINDS = {
  all: ["All", () => true],
  waiting: ["On their way", ({ state }) => !ENDED.includes(state)],
  classified: ["Classified", ({ state }) => state === "classified"],
  problems: ["Problems", ({ state }) => state === "rejected" || state === "failed"],
};

export class Drop {
  title = "Drop";

  constructor() {
    this.kind = "all";
    const chosen = el("input", { type: "file", multiple: true, accept: "image/*", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
    const folder = el("input", { type: "file", webkitdirectory: true, class: "unseen", tabindex: "-1", "aria-hidden": "true" });
    for (const input of [chosen, folder]) {
      input.addEventListener("change", () => {
        taken([...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
        input.value = "";
      });
    }
    this.progress = el("progress", { max: "1", value: "0", "aria-label": "Photos done", hidden: true });
    this.summary = el("p", { class: "soft", role: "status" });
    this.tabs = Object.fromEntries(Object.entries(KINDS).map(([name, [text]]) => [name, el("button", {
      type: "button", "aria-pressed": String(name === "all"), onclick: () => this.#choose(name),
    }, text)]));
    this.choices = el("div", { class: "line", role: "group", "aria-label": "Show", hidden: true }, Object.values(this.tabs));
    this.list = new Windowed({
      minWidth: 300, maxColumns: 1, gap: 0, heightOf: (width) => (width < 600 ? 104 : 72), makeCell: () => new Line(), onNearEnd: () => {},
      label: "Dropped photos",
    });
    this.note = el("p", { class: "soft small", hidden: true }, CONFIDENCE);
    this.root = el("div", {},
      el("h1", { class: "unseen" }, "Drop photos"),
      el("div", { class: "zone" },
        icon("drop"),
        el("p", {}, el("strong", {}, "Drop photos or folders anywhere on this page")),
        el("p", { class: "soft small" }, "JPEG, PNG, WebP, HEIC, AVIF or BMP, up to 32 MiB each. A folder keeps its names; ",
          "a photo with the name of an earlier one becomes its new version."),
        el("p", { class: "line" },
          el("button", { type: "button", class: "primary", onclick: () => chosen.click() }, "Choose photos"),
          el("button", { type: "button", onclick: () => folder.click() }, "Choose a folder")),
        chosen, folder),
      this.progress, this.summary, this.choices, this.list.root,
      this.note);
  }

  start() {
    this.unwatch = watch(() => this.#draw());
    this.list.start();
    this.#draw();
  }

  stop() {
    this.unwatch();
    this.list.stop();
  }

  #choose(kind) {
    this.kind = kind;
    for (const [name, button] of Object.entries(this.tabs)) button.setAttribute("aria-pressed", String(name === kind));
    this.#draw();
  }

  #draw() {
    const found = counts();
    const done = found.classified + found.rejected + found.failed;
    const moving = photos.length - done;
    this.progress.hidden = this.note.hidden = this.choices.hidden = photos.length === 0;
    this.progress.value = photos.length ? done / photos.length : 0;
    this.summary.textContent = photos.length === 0 ? "" : summaryOf(found, moving);
    this.tabs.problems.textContent = `Problems (${found.rejected + found.failed})`;
    this.list.set(photos.filter(KINDS[this.kind][1]), { fresh: true });
  }
}

function summaryOf(found, moving) {
  const parts = [
    [found.waiting + found.sending, "to send"], [found.sent, "with the model"],
    [found.classified, "classified"], [found.rejected, "rejected"], [found.failed, "failed"],
  ];
  const said = parts.filter(([number]) => number).map(([number, what]) => `${count(number)} ${what}`);
  return `${count(photos.length, "photo")}: ${said.join(", ")}${moving ? " …" : "."}`;
}

class Line {
  constructor() {
    this.image = el("img", { alt: "", decoding: "async" });
    this.name = el("span", { class: "file" });
    this.answer = el("span", { class: "answer" });
    this.state = el("span", { class: "soft small" });
    this.meter = el("i", { class: "meter" });
    this.track = el("span", { class: "track" }, this.meter);
    this.again = el("button", { type: "button", onclick: () => again(this.photo) }, "Try again");
    this.root = el("div", { role: "listitem", class: "cell dropped" },
      el("span", { class: "picture" }, this.image),
      el("span", { class: "about" }, this.name, this.state, this.track), this.answer, this.again);
    this.stop = () => {};
  }

  fill(photo) {
    this.photo = photo;
    const { record, state } = photo;
    this.name.textContent = photo.name;
    this.again.hidden = state !== "failed";
    this.track.hidden = state !== "sending";
    this.meter.style.transform = `scaleX(${photo.progress})`;
    this.root.dataset.state = state;
    this.state.textContent = stateOf(photo);
    this.answer.replaceChildren(...answerOf(photo));
    if (record && state === "classified") this.stop = show(this.image, record, 256);
  }

  clear() {
    this.stop();
    this.image.classList.remove("there");
    this.image.removeAttribute("src");
  }
}

function stateOf(photo) {
  if (photo.state === "rejected") return reasonOf(photo.reason)[1];
  if (photo.state === "failed") return photo.problem.detail || photo.problem.message;
  return { waiting: "Waiting", sending: "Sending", sent: "With the model …", classified: "" }[photo.state];
}

function answerOf(photo) {
  if (photo.state === "rejected") return [el("span", { class: "mark bad" }, reasonOf(photo.reason)[0])];
  if (photo.state === "failed") return [el("span", { class: "mark bad" }, "Not sent")];
  if (!photo.record) return [];
  const { record } = photo;
  return [
    el("a", { class: isInDoubt(record) ? "doubt" : null, href: `#/photo/${record.id}` }, titleOf(record)), " ",
    el("span", { class: "number soft" }, percent(record.confidence)),
    record.group ? groupMark(record) : null, " ", nearestMark(record),
  ].filter(Boolean);
}

function taken(found) {
  const leftOut = add(found);
  say(`${count(found.length - leftOut, "photo")} added${leftOut ? `, ${leftOut} hidden files left out` : ""}`);
  location.hash = "#/drop";
}

// Photos may be dropped on every section.
export function watchForDrops() {
  const veil = el("div", { class: "veil", hidden: true }, el("p", {}, "Drop to classify"));
  document.body.append(veil);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) veil.hidden = true;
  });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = true;
    taken(await filesOf(event.dataTransfer));
  });
}

async function filesOf(transfer) {
  // Entries are only there until the event ends, so all are taken before the first is read.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, name: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A hundred at most come at once.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, found);
  }
}
