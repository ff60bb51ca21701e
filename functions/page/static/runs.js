import { el } from "./elements.js";
import { empty } from "./states.js";

export class Runs {
  title = "Runs";
  root = el("div", {}, empty("Not yet", "Soon."));
  start() {}
}
