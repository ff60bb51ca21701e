import { el } from "./elements.js";
import { empty } from "./states.js";

export class Overview {
  title = "Overview";
  root = el("div", {}, empty("Not yet", "Soon."));
  start() {}
}
