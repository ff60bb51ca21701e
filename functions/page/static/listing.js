// The rows of a filter, page after page. A page may be short, even empty, and still not the last.

import { get } from "./api.js";
import { isUnknown } from "./words.js";

const FIRST_PAGE = 60;
const PAGE = 500;
// After so many empty pages the user is asked whether to go on.
const PATIENCE_PAGES = 12;
// And after so many the rows of the next set of parameters come: a filter without an index may have none at all.
const SET_PATIENCE_PAGES = 3;

// What a list shows of a row: a hundred thousand rows of all fields would be heavy.
const FIELDS = [
  "id", "key", "version", "status", "label", "confidence", "reason", "group", "review", "format",
];

export class Listing {
  // The rows of each set of parameters come after those of the one before; none comes twice.
  constructor(...sets) {
    [this.parameters, ...this.later] = sets;
    this.rows = [];
    this.seen = new Set();
    this.cursor = null;
    this.emptyPages = 0;
    this.isWhole = false;
    this.isPaused = false;
    this.problem = null;
    this.loading = null; // the pages on their way
    this.abort = new AbortController();
  }

  stop() {
    this.abort.abort();
  }

  get isStopped() {
    return this.abort.signal.aborted;
  }

  // Loads until there are more rows, or until it is known that there are none. Calls at the same time wait for
  // the same pages: a call that returned at once would be repeated forever, and no page could arrive.
  async more() {
    if (this.isWhole || this.problem) return;
    this.loading ??= this.#load();
    await this.loading;
  }

  async #load() {
    this.isPaused = false;
    const before = this.rows.length;
    try {
      for (let page = 0; page < PATIENCE_PAGES; page += 1) {
        await this.#page();
        if (this.isWhole || this.rows.length > before) return;
      }
      this.isPaused = true;
    } catch (error) {
      if (error.name !== "AbortError") this.problem = error;
    } finally {
      this.loading = null;
    }
  }

  again() {
    this.problem = null;
    return this.more();
  }

  async #page() {
    const limit = this.rows.length ? PAGE : FIRST_PAGE;
    const page = await get("predictions",
      { ...this.parameters, limit, cursor: this.cursor }, { signal: this.abort.signal });
    const before = this.rows.length;
    for (const record of page.predictions) {
      if (this.seen.has(record.id)) continue; // written again between two pages
      this.seen.add(record.id);
      const kept = Object.fromEntries(FIELDS.map((name) => [name, record[name] ?? null]));
      this.rows.push(isUnknown(record.label) ? { ...kept, predictions: record.predictions.slice(0, 1) } : kept);
    }
    this.emptyPages = this.rows.length > before ? 0 : this.emptyPages + 1;
    this.cursor = page.cursor;
    if (!this.later.length) {
      this.isWhole = page.cursor === null;
    } else if (page.cursor === null || this.emptyPages >= SET_PATIENCE_PAGES) {
      this.parameters = this.later.shift();
      this.cursor = null;
      this.emptyPages = 0;
    }
  }
}
