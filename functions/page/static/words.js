// What the page says about a record: plain words for statuses, reasons, numbers and times.

export const CONFIDENCE =
  "Confidence is the model's own estimate, from 0 to 1, that its label is right: " +
  "check photos with a low one; a high one is no proof.";

// Reason of a rejection: [what it means, what to do].
const REASONS = {
  empty: ["The file is empty", "The upload broke off, or the file never had content. Drop it again."],
  not_an_image: ["Not an image", "The content is not that of an image, whatever the name says. Export it as JPEG, PNG or WebP and drop that."],
  unsupported_format: ["Unsupported format", "Save it as JPEG, PNG, WebP, HEIC, AVIF or BMP and drop that."],
  too_many_bytes: ["The file is too large", "At most 32 MiB. Save it smaller, for example as JPEG."],
  too_many_pixels: ["Too many pixels", "Save it with fewer pixels: 12 megapixels are enough for every model."],
  side_too_long: ["A side is too long", "At most 32,767 pixels a side. Cut it, or save it smaller."],
  too_many_scans: ["Too many passes in the JPEG", "Save it again as an ordinary JPEG."],
  too_many_chunks: ["Too many parts in the file", "Save it again with an ordinary program."],
  truncated: ["The end of the file is missing", "The copy broke off. Copy it again from the camera or the source."],
  corrupt: ["The file is damaged", "Copy it again from the source, or open and save it again."],
  too_slow: ["Takes too long to decode", "Save it again as an ordinary JPEG or PNG."],
  too_much_memory: ["Needs too much memory", "Save it with fewer pixels, or as JPEG."],
  decoder_crashed: ["It crashes the decoder", "The file is broken in an unusual way, or hostile. Save it again from the source."],
  archived: ["It is in an archive storage class", "Restore the object in S3 first, then drop it again."],
  gone: ["It was deleted before it was read", "Drop it again."],
};

export function reasonOf(reason) {
  return REASONS[reason] || [plain(reason || "Rejected"), "Look at the file, save it again and drop that."];
}

export function plain(name) {
  const text = String(name).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Labels are shown as people write them; what is sent is the label itself.
export function labelText(label) {
  return label === null || label === undefined ? "" : String(label).replaceAll("_", " ");
}

// The model itself says that it does not know: the label of its rule for unknown kinds.
export function isUnknown(label) {
  return /^unknown(_|$)/.test(label ?? "");
}

export function isInDoubt({ label }) {
  return isUnknown(label);
}

// The level above the label. For an unknown one it is what the model is sure of.
export function groupText({ group, label }) {
  return isUnknown(label) ? `among ${labelText(group)}` : labelText(group);
}

// What an unknown one is most like: the model's best label, which it does not dare to say.
export function nearestText({ label, predictions }) {
  const best = predictions?.[0];
  return isUnknown(label) && best && best.label !== label ? `nearest ${labelText(best.label)} ${percent(best.confidence)}` : "";
}

export const ACTIONS = {
  confirm: "confirmed", correct: "corrected", none_of_these: "not one of these", skip: "skipped",
  claim: "being reviewed",
};

// One name for a record: what a person would call it first.
export function titleOf(record) {
  if (record.status === "REJECTED") return reasonOf(record.reason)[0];
  if (record.status === "DELETED") return "Deleted";
  return labelText(shownLabel(record)) || "No label";
}

export function isReviewed(record) {
  return Boolean(record.review && ["confirm", "correct", "none_of_these"].includes(record.review.action));
}

// A person's word stands before the model's.
export function shownLabel(record) {
  if (!isReviewed(record)) return record.label;
  const { action, label } = record.review;
  return label ?? (action === "none_of_these" ? "not one of these" : record.label);
}

export function fileName(record) {
  return record.key.replace(/^incoming\//, "");
}

export function percent(value) {
  if (value === null || value === undefined) return "";
  return Math.min(value, value < 1 ? 0.99 : 1).toFixed(2); // 0.996 is not certain
}

const COUNT = new Intl.NumberFormat("en");
export function count(value, one, many) {
  const text = COUNT.format(value);
  return one === undefined ? text : `${text} ${value === 1 ? one : many ?? `${one}s`}`;
}

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  const [size, unit] = value < 1e6 ? [value / 1e3, "kB"] : [value / 1e6, "MB"];
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${unit}`;
}

export function dollars(value) {
  return `$${value < 0.01 ? value.toFixed(4) : value.toFixed(2)}`;
}

const TIME = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
export function time(text) {
  const moment = new Date(text);
  return text && !Number.isNaN(moment.valueOf()) ? TIME.format(moment) : "";
}
