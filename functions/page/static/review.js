import { el } from "./elements.js";
import { empty } from "./states.js";

export class Review {
  title = "Review";
  root = el("div", {}, empty("Not yet", "Soon."));
  start() {}
}
