import { el } from "./elements.js";
import { empty } from "./states.js";

export class Models {
  title = "Models";
  root = el("div", {}, empty("Not yet", "Soon."));
  start() {}
}
