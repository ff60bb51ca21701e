// A list of any length of which the document holds only what is on the screen and a little more.
//
// Cells are used again for other items as they scroll past. They stay in the order of the list, so
// that the keyboard and screen readers meet them in that order.

const OVERSCAN_LINES = 2;

export class Windowed {
  // makeCell() returns {root, fill(item, index), clear()}; onNearEnd() is called when the end comes near.
  constructor({ minWidth, maxColumns = Infinity, gap, heightOf, makeCell, onNearEnd, label }) {
    Object.assign(this, { minWidth, maxColumns, gap, heightOf, makeCell, onNearEnd });
    this.items = [];
    this.shown = new Map();
    this.spare = [];
    this.root = document.createElement("div");
    this.root.className = "windowed";
    this.root.setAttribute("role", "list");
    this.root.setAttribute("aria-label", label);
    this.root.addEventListener("keydown", (event) => this.#move(event));
    this.onScroll = () => this.#soon();
    this.observer = new ResizeObserver(() => {
      this.top = undefined; // something above the list may have grown
      this.#measure();
    });
  }

  start() {
    addEventListener("scroll", this.onScroll, { passive: true });
    this.observer.observe(this.root);
    this.observer.observe(document.body);
    this.#measure();
  }

  stop() {
    removeEventListener("scroll", this.onScroll);
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    for (const cell of this.shown.values()) cell.clear();
    this.shown.clear();
  }

  // Shows these items; the first ones may be the same as before.
  set(items, { fresh = false } = {}) {
    this.items = items;
    if (fresh) this.#emptyAll();
    this.#layOut();
  }

  refresh(index) {
    this.shown.get(index)?.fill(this.items[index], index);
  }

  get columns() {
    const fitting = Math.floor((this.width + this.gap) / (this.minWidth + this.gap));
    return Math.max(1, Math.min(this.maxColumns, fitting));
  }

  #measure() {
    const width = this.root.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    this.#emptyAll();
    this.#layOut();
  }

  #emptyAll() {
    for (const cell of this.shown.values()) this.#release(cell);
    this.shown.clear();
  }

  #release(cell) {
    cell.clear();
    cell.root.remove();
    this.spare.push(cell);
  }

  #layOut() {
    if (!this.width) return;
    this.cellWidth = (this.width - this.gap * (this.columns - 1)) / this.columns;
    this.lineHeight = Math.round(this.heightOf(this.cellWidth)) + this.gap;
    const lines = Math.ceil(this.items.length / this.columns);
    this.root.style.height = `${lines * this.lineHeight}px`;
    this.#show();
  }

  #soon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.#show());
  }

  #show() {
    if (!this.lineHeight) return;
    // Not from getBoundingClientRect, which would lay the page out in every frame.
    this.top ??= this.root.getBoundingClientRect().top + scrollY;
    const firstLine = Math.floor((scrollY - this.top) / this.lineHeight) - OVERSCAN_LINES;
    const lastLine = Math.ceil((scrollY - this.top + innerHeight) / this.lineHeight) + OVERSCAN_LINES;
    const first = Math.max(0, firstLine * this.columns);
    const last = Math.min(this.items.length, lastLine * this.columns);
    for (const [index, cell] of this.shown) {
      if (index >= first && index < last) continue;
      if (cell.root.contains(document.activeElement)) continue;
      this.shown.delete(index);
      this.#release(cell);
    }
    let next = null;
    for (let index = last - 1; index >= first; index -= 1) {
      const cell = this.shown.get(index) ?? this.#place(index, next);
      next = cell.root;
    }
    if (lastLine * this.columns > this.items.length - 10 * this.columns) this.onNearEnd();
  }

  #place(index, next) {
    const cell = this.spare.pop() ?? this.makeCell();
    const { style } = cell.root;
    const column = index % this.columns;
    const line = (index - column) / this.columns;
    style.width = `${this.cellWidth}px`;
    style.height = `${this.lineHeight - this.gap}px`;
    style.transform =
      `translate(${Math.round(column * (this.cellWidth + this.gap))}px, ${line * this.lineHeight}px)`;
    cell.root.setAttribute("aria-posinset", index + 1);
    cell.root.dataset.index = index;
    cell.fill(this.items[index], index);
    this.root.insertBefore(cell.root, next);
    this.shown.set(index, cell);
    return cell;
  }

  #move(event) {
    const step = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns,
    }[event.key];
    const here = event.target.closest("[data-index]");
    if (step === undefined || !here || event.altKey || event.ctrlKey || event.metaKey) return;
    const index = Number(here.dataset.index) + step;
    if (index < 0 || index >= this.items.length) return;
    event.preventDefault();
    this.#bringIntoView(index);
    this.#show();
    this.shown.get(index)?.root.querySelector("a, button")?.focus({ preventScroll: true });
  }

  #bringIntoView(index) {
    const top = this.top + Math.floor(index / this.columns) * this.lineHeight;
    const margin = 90; // below the page's head
    if (top < scrollY + margin) scrollTo({ top: top - margin });
    else if (top + this.lineHeight > scrollY + innerHeight) scrollTo({ top: top + this.lineHeight - innerHeight + 12 });
  }
}
