import { el } from "./elements.js";
import { empty } from "./states.js";

export class Drop {
  title = "Drop";
  root = el("div", {}, empty("Not yet", "Soon."));
  start() {}
}
export function watchForDrops() {}
