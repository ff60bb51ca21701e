// Runs: folders that were classified as a whole, with their progress and their report.

import { get } from "./api.js";
import { columns, ranking } from "./charts.js";
import { el } from "./elements.js";
import { empty, failed, loading } from "./states.js";
import { show } from "./thumbnails.js";
import { count, labelText, percent, plain, reasonOf, time } from "./words.js";

const POLL_MILLISECONDS = 3000;
const FLIPS_SHOWN = 12;
const RUNNING = ["RUNNING", "PENDING_REDRIVE"];

export class Runs {
  title = "Runs";

  constructor(_query, name) {
    this.name = decodeURIComponent(name);
    this.pictures = []; // functions that give up those that are on their way
    this.body = el("div", {}, loading());
    this.root = el("div", {}, this.name
      ? el("div", { class: "line" }, el("a", { class: "button", href: "#/runs" }, "All runs"), el("h1", {}, this.name))
      : el("h1", {}, "Bulk runs"), this.body);
  }

  start() {
    this.#load();
  }

  stop() {
    clearTimeout(this.timer);
    this.stopped = true;
    this.#giveUpPictures();
  }

  // Pictures that are not shown any more are not fetched.
  #giveUpPictures() {
    for (const giveUp of this.pictures.splice(0)) giveUp();
  }

  async #load() {
    let isRunning = false;
    try {
      if (this.name) {
        const run = await get(`runs/${encodeURIComponent(this.name)}`);
        isRunning = RUNNING.includes(run.status);
        if (this.stopped) return;
        this.#giveUpPictures();
        this.body.replaceChildren(...detail(run, this.pictures));
      } else {
        const { runs } = await get("runs");
        isRunning = runs.some(({ status }) => RUNNING.includes(status));
        this.body.replaceChildren(runs.length ? table(runs) : empty("No bulk runs yet", "Classify a whole folder: ",
          el("code", {}, "imagedrop bulk start FOLDER --wait")));
      }
    } catch (problem) {
      this.body.replaceChildren(failed(problem, () => this.#load(), { isOfId: false }));
    }
    if (isRunning && !this.stopped) this.timer = setTimeout(() => this.#load(), POLL_MILLISECONDS);
  }
}

function table(runs) {
  return el("div", { class: "scroll" }, el("table", { class: "wide" },
    el("thead", {}, el("tr", {}, ["Run", "Status", "Progress", "Started", "Model"].map((each) => el("th", { scope: "col" }, each)))),
    el("tbody", {}, runs.map((run) => el("tr", {},
      el("td", {}, el("a", { href: `#/runs/${encodeURIComponent(run.name)}` }, run.name)),
      el("td", {}, state(run.status)), el("td", { class: "progress" }, progress(run)),
      el("td", { class: "whole" }, time(run.started_at)), el("td", {}, run.model ?? ""))))));
}

function state(status) {
  const kind = { SUCCEEDED: "good", COMPLETE: "good", FAILED: "bad", TIMED_OUT: "bad", ABORTED: "bad" }[status] ?? "group";
  return el("span", { class: `mark ${kind}` }, plain(status.toLowerCase()));
}

function progress({ name, progress: found, report }) {
  const { listed = report?.listed ?? 0, recorded = report ? listed : 0, phase, at_least: isCut } = found ?? {};
  if (!listed) return el("span", { class: "soft" }, phase ? plain(phase) : "");
  return el("span", {},
    el("progress", { max: listed, value: recorded, "aria-label": `Progress of ${name}` }),
    el("span", { class: "soft small" }, `${isCut ? "at least " : ""}${count(recorded)} of ${count(listed)}${phase && phase !== "finished" ? `, ${phase}` : ""}`));
}

function detail(run, pictures) {
  const { report } = run;
  const head = el("p", { class: "line" }, state(report?.status ?? run.status), el("span", { class: "soft" },
    `started ${time(run.started_at ?? report?.started_at)}${run.model ?? report?.model ? `, ${run.model ?? report.model}` : ""}`));
  if (!report) return [head, progress(run)];
  const { comparison } = report;
  return [
    head,
    el("div", { class: "tiles" },
      ...["listed", "classified", "rejected", "skipped", "failed", "unaccounted"]
        .filter((name) => report[name] || name === "listed" || name === "classified")
        .map((name) => el("div", { class: "tile" }, el("b", {}, count(report[name] ?? 0)), name)),
      report.images_per_second ? el("div", { class: "tile" }, el("b", {}, count(report.images_per_second)), "a second") : null),
    comparison ? comparedWith(pictures, comparison) : null,
    el("div", { class: "halves" },
      part("Labels", ranking(Object.entries(report.labels ?? {}).slice(0, 15).map(([label, value]) => ({
        name: labelText(label), value, href: comparison ? null : `#/gallery?source=bulk&label=${encodeURIComponent(label)}`,
      })))),
      el("div", {},
        report.confidence_histogram ? part("Confidence", columns("Photos by confidence", report.confidence_histogram.map((value, bin) => ({
          name: `${(bin / report.confidence_histogram.length).toFixed(2)}`, parts: [["s0", value]],
        })))) : null,
        reasons("Rejected", report.rejections), reasons("Failed", report.failures), examples(report.examples))),
  ].filter(Boolean);
}

// A candidate's answers beside those of the rows, which stay as they are.
function comparedWith(pictures, { compared, agreement, reviewed, accuracy, calibration, abstained, flips, live_models: models }) {
  const numbers = [
    [agreement, "same label"],
    ...["live", "candidate"].flatMap((side) => [
      [accuracy[side], `right, ${side}, of ${count(reviewed)} reviewed`],
      [calibration[side].ece, `calibration error, ${side}`],
    ]),
    [abstained.only_candidate, "only live names a label"], [abstained.only_live, "only the candidate names one"],
  ].filter(([value]) => value !== null);
  return el("section", {}, el("h2", {}, "Compared with the rows"),
    el("p", {}, `The rows' answers are those of ${Object.keys(models).join(", ") || "no model"}. No row was changed. `,
      reviewed ? "People review doubtful photos first, and a candidate may have learned from their reviews." : ""),
    el("div", { class: "tiles" },
      el("div", { class: "tile" }, el("b", {}, count(compared)), "compared"),
      numbers.map(([value, name]) => el("div", { class: "tile" },
        el("b", {}, Number.isInteger(value) ? count(value) : value.toFixed(3)), name))),
    el("h2", {}, `Flips: ${count(flips.reduce((total, flip) => total + flip.count, 0))}`),
    flips.slice(0, FLIPS_SHOWN).map((flip) => el("section", {},
      el("h3", {}, `${labelText(flip.from)} → ${labelText(flip.to)} (${count(flip.count)})`),
      el("ul", { class: "flips" }, flip.examples.map((each) => flipped(each, flip, pictures))))),
    flips.length > FLIPS_SHOWN ? el("p", { class: "soft" }, `and ${count(flips.length - FLIPS_SHOWN, "more pair")} of labels`) : null);
}

function flipped(example, { from, to }, pictures) {
  const image = el("img", { alt: "", width: 160, height: 160 });
  const picture = el("a", { class: "picture", href: `#/photo/${example.id}`, "aria-label": `Photo ${example.key}` }, image);
  pictures.push(show(image, example, 256, () => picture.append(el("span", { class: "instead" }, "no picture"))));
  return el("li", {}, picture, el("span", { class: "small" },
    `${labelText(from)} ${percent(example.live_confidence)}, ${labelText(to)} ${percent(example.confidence)}`,
    example.is_reviewed ? el("em", {}, ` a person: ${labelText(example.truth) || "not one of these"}`) : null));
}

function part(title, ...content) {
  return el("section", {}, el("h2", {}, title), content);
}

function reasons(title, counted) {
  const rows = Object.entries(counted ?? {});
  if (!rows.length) return null;
  return part(title, ranking(rows.map(([reason, value]) => {
    const [name, note] = reasonOf(reason);
    return { name, note, value };
  }), "bad"));
}

function examples(found) {
  const rows = Object.values(found ?? {}).flat().slice(0, 50);
  if (!rows.length) return null;
  return el("details", {}, el("summary", {}, "Which ones"),
    el("ul", {}, rows.map((each) => el("li", {}, each.key, el("span", { class: "soft" }, ` ${reasonOf(each.reason)[0]}`)))));
}
