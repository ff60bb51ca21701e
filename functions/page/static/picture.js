// The large picture of a record in a box of its shape, so that nothing moves when it comes.

import { el } from "./elements.js";
import { fileName, titleOf } from "./words.js";

export function framed(record) {
  const ratio = record.width && record.height ? record.width / record.height : 4 / 3;
  const image = el("img", { alt: `${titleOf(record)}: ${fileName(record)}`, decoding: "async" });
  const instead = el("span", { class: "instead" }, record.format ?? "");
  const frame = el("div", { class: "frame" }, instead, image);
  frame.style.aspectRatio = String(ratio);
  frame.style.setProperty("--ratio", String(ratio));
  return { frame, image, instead };
}
