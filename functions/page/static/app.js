// The frame of the page: its sections, and the address that says which one is open.
//
// #/gallery?label=pug is a section and its filters; #/photo/ID is one image.

import { el, icon, say } from "./elements.js";
import { Drop, watchForDrops } from "./drop.js";
import { Gallery } from "./gallery.js";
import { Models } from "./models.js";
import { Overview } from "./overview.js";
import { Photo } from "./photo.js";
import { Review } from "./review.js";
import { Runs } from "./runs.js";
import { host, signedIn, user } from "./sign_in.js";
import { failed } from "./states.js";

const SECTIONS = {
  gallery: Gallery, drop: Drop, review: Review, overview: Overview, runs: Runs, models: Models,
};
const VIEWS = { ...SECTIONS, photo: Photo };

const main = document.getElementById("main");
const tabs = Object.fromEntries(Object.keys(SECTIONS).map((name) => [name, tab(name)]));
let open = null;

function tab(name) {
  const text = name.charAt(0).toUpperCase() + name.slice(1);
  return el("a", { href: `#/${name}` }, icon(name), el("span", {}, text));
}

function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name: VIEWS[name] ? name : "gallery", rest: rest.join("/"), query: new URLSearchParams(query) };
}

function go() {
  const { name, rest, query } = route();
  for (const [each, link] of Object.entries(tabs)) {
    if (each === name || (each === "gallery" && name === "photo")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (open?.name === name && open.rest === rest && open.view.change) {
    open.view.change(query);
    return;
  }
  open?.view.stop?.();
  const isFirst = open === null;
  const from = open?.name;
  if (from) places.set(from, scrollY);
  const view = new VIEWS[name](query, rest);
  open = { name, rest, view };
  document.title = `${view.title} – imagedrop`;
  main.replaceChildren(view.root);
  view.start();
  // Back from a photo, the gallery is where it was.
  scrollTo({ top: name === "gallery" && from === "photo" ? places.get("gallery") ?? 0 : 0 });
  if (!isFirst) {
    main.focus({ preventScroll: true });
    say(view.title);
  }
}

const places = new Map();
document.getElementById("tabs").append(...Object.values(tabs));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address holds the section
  main.focus();
});
watchForDrops();

async function begin() {
  try {
    document.getElementById("place").textContent = (await host()).place;
    await signedIn();
    document.getElementById("place").after(user() ?? "");
    addEventListener("hashchange", go);
    go();
  } catch (problem) {
    main.replaceChildren(failed(problem));
  }
}

begin();
