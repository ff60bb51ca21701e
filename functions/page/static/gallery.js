// Gallery: the photos of a filter.

import { el, say } from "./elements.js";
import { Filters, filtersOf, queryOf } from "./filters.js";
import { Listing } from "./listing.js";
import { empty, failed, loading } from "./states.js";
import { canBeShown, show } from "./thumbnails.js";
import { Windowed } from "./windowed.js";
import { CONFIDENCE, count, fileName, groupText, isInDoubt, isReviewed, nearestText, percent, titleOf } from "./words.js";

// The list that the photo's view walks through.
export let current = null;

export class Gallery {
  title = "Gallery";

  constructor(query) {
    this.filters = new Filters(filtersOf(query), (filters) => {
      location.hash = `#/gallery?${queryOf(filters)}`;
    });
    this.status = el("p", { class: "soft", id: "count" });
    this.foot = el("div", { class: "foot" });
    this.list = new Windowed({
      minWidth: matchMedia("(max-width: 40rem)").matches ? 150 : 190,
      gap: 12,
      heightOf: (width) => width + 62,
      makeCell: () => new Card(this.filters),
      onNearEnd: () => this.#more(),
      label: "Photos",
    });
    this.root = el("div", { class: "gallery" },
      this.filters.root,
      el("div", {},
        el("div", { class: "line" }, this.status, this.filters.chips),
        el("p", { class: "soft small" }, CONFIDENCE),
        this.list.root, this.foot));
  }

  start() {
    this.list.start();
    this.#load();
  }

  stop() {
    this.list.stop();
  }

  // The address has other filters.
  change(query) {
    this.filters.set(filtersOf(query));
    this.#load();
  }

  #load() {
    const { filters } = this.filters;
    const wanted = queryOf(filters);
    if (current?.wanted === wanted && current.listing.rows.length) {
      this.listing = current.listing; // back from a photo: where one was
      this.#rows();
      return;
    }
    current?.listing.stop();
    this.listing = new Listing(filters);
    current = { wanted, listing: this.listing };
    this.list.set([], { fresh: true });
    scrollTo({ top: 0 });
    this.status.textContent = "Looking …";
    this.foot.replaceChildren();
    this.root.classList.add("looking");
    this.#more();
  }

  async #more() {
    const { listing } = this;
    if (!listing || listing.loading || listing.isWhole || listing.isPaused || listing.problem) return;
    await listing.more();
    if (listing === this.listing) this.#rows();
  }

  #rows() {
    const { rows, isWhole } = this.listing;
    this.root.classList.remove("looking");
    this.list.set(rows);
    this.status.textContent = `${count(rows.length, "photo")}${isWhole ? "" : " so far"}`;
    if (isWhole) say(this.status.textContent);
    this.foot.replaceChildren(...this.#end());
  }

  #end() {
    const { listing } = this;
    if (listing.problem) return [failed(listing.problem, () => this.#again())];
    if (listing.isPaused) {
      return [empty("Nothing in the newest rows",
        "No row matched so far. ",
        el("button", { type: "button", onclick: () => this.#goOn() }, "Look further back"))];
    }
    if (listing.isWhole && !listing.rows.length) return [this.#nothing()];
    return listing.isWhole ? [] : [loading()];
  }

  #nothing() {
    if (queryOf(this.filters.filters)) return empty("No photo matches", "Remove a filter to see more.");
    return empty("No photos yet", "Drop some: ", el("a", { href: "#/drop" }, "drag photos onto this page"), ".");
  }

  #again() {
    this.listing.problem = null;
    this.foot.replaceChildren(loading());
    this.#more();
  }

  #goOn() {
    this.listing.isPaused = false;
    this.foot.replaceChildren(loading());
    this.#more();
  }
}

class Card {
  constructor(filters) {
    this.filters = filters;
    this.image = el("img", { alt: "", decoding: "async", draggable: "false" });
    this.instead = el("span", { class: "instead", "aria-hidden": "true" });
    this.spoken = el("span", { class: "unseen" });
    this.name = el("span", { class: "name" });
    this.confidence = el("span", { class: "number" });
    this.meter = el("i", { class: "meter" });
    this.marks = el("span", { class: "marks" });
    this.link = el("a", { class: "card" },
      el("span", { class: "picture" }, this.instead, this.image),
      el("span", { class: "line" }, this.name, this.spoken, this.confidence),
      el("span", { class: "track" }, this.meter),
      this.marks);
    this.root = el("div", { role: "listitem", class: "cell" }, this.link);
    this.stop = () => {};
  }

  fill(record) {
    this.link.href = `#/photo/${record.id}`;
    this.link.className = `card ${record.status.toLowerCase()} ${isInDoubt(record) ? "doubt" : ""}`;
    this.name.textContent = titleOf(record);
    this.confidence.textContent = percent(record.confidence);
    this.meter.style.transform = `scaleX(${record.confidence ?? 0})`;
    this.instead.textContent = instead(record);
    this.marks.replaceChildren(...marks(record));
    this.spoken.textContent = { CLASSIFIED: ", confidence", REJECTED: ", rejected" }[record.status] ?? "";
    if (canBeShown(record)) {
      this.stop = show(this.image, record, 256);
    }
  }

  clear() {
    this.stop();
    this.image.classList.remove("there");
    this.image.removeAttribute("src");
  }
}

function instead(record) {
  return record.status === "CLASSIFIED" ? record.format ?? "" : record.status === "REJECTED" ? "!" : "deleted";
}

export function groupMark(record) {
  return el("span", { class: isInDoubt(record) ? "mark group" : "mark" }, groupText(record));
}

export function nearestMark(record) {
  const text = nearestText(record);
  return text ? el("span", { class: "mark group" }, text) : null;
}

function marks(record) {
  const name = el("span", { class: "soft file" }, fileName(record));
  const found = [name];
  if (record.group) found.unshift(groupMark(record));
  const nearest = nearestMark(record);
  if (nearest) found.unshift(nearest);
  if (isReviewed(record)) found.unshift(el("span", { class: "mark good" }, "✓ reviewed"));
  return found;
}
