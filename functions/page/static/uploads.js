// Photos on their way: sent by a presigned form each, a few at once, until each is a row.

import { address, call, get } from "./api.js";

const PARALLEL = 4;
const POLL_MILLISECONDS = 1000;
const ROWS_A_POLL = 200;
const MAX_BYTES = 32 * 1024 * 1024;
// Then the row is most likely in the dead-letter queue.
const PATIENCE_MILLISECONDS = 5 * 60 * 1000;
const NOT_PHOTOS = /(^|\/)(\.|Thumbs\.db$|desktop\.ini$|__MACOSX\/)/i;

export const ENDED = ["classified", "rejected", "failed"];

// {file, name, state, progress, record, reason, problem}; states: waiting, sending, sent, and ENDED.
export const photos = [];
let watchers = new Set();
let sending = 0;
let polling = false;
let told = false;

export function watch(changed) {
  watchers.add(changed);
  return () => watchers.delete(changed);
}

function changed() {
  if (told) return; // thousands of photos change at once
  told = true;
  requestAnimationFrame(() => {
    told = false;
    for (const each of watchers) each();
  });
}

// Takes [{file, name}]; returns how many were left out because no photo has such a name.
export function add(found) {
  const wanted = found.filter(({ name }) => !NOT_PHOTOS.test(name));
  photos.push(...wanted.map(({ file, name }) => checked({ file, name, state: "waiting", progress: 0 })));
  changed();
  work();
  return found.length - wanted.length;
}

export function again(photo) {
  Object.assign(photo, { state: "waiting", progress: 0, problem: null });
  changed();
  work();
}

// What S3 would refuse without a reason is refused here with one.
function checked(photo) {
  const { size, type } = photo.file;
  const reason = size === 0 ? "empty" : size > MAX_BYTES ? "too_many_bytes"
    : type && !type.startsWith("image/") ? "not_an_image" : null;
  return reason ? { ...photo, state: "rejected", reason } : photo;
}

function work() {
  while (sending < PARALLEL) {
    const photo = photos.find((each) => each.state === "waiting");
    if (!photo) break;
    photo.state = "sending";
    sending += 1;
    send(photo).catch((problem) => {
      Object.assign(photo, { state: "failed", problem });
    }).finally(() => {
      sending -= 1;
      changed();
      work();
    });
  }
  if (!polling) poll();
}

async function send(photo) {
  const answer = await call(address("uploads"), {
    method: "POST", body: { key: photo.name, bytes: photo.file.size },
  });
  const form = await answer.json();
  photo.key = form.key;
  const body = new FormData();
  for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
  if (!("Content-Type" in form.fields)) body.append("Content-Type", photo.file.type || "image/unknown");
  body.append("file", photo.file);
  photo.version = await posted(form.url, body, photo);
  photo.sentAt = Date.now();
  photo.state = "sent";
}

// fetch tells no progress of what it sends.
function posted(url, body, photo) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.upload.onprogress = ({ loaded, total }) => {
      photo.progress = total ? loaded / total : 0;
      changed();
    };
    request.onerror = () => reject(new Error("The bucket did not accept it. Check the connection, and try again."));
    request.onload = () => {
      if (request.status < 300) resolve(request.getResponseHeader("x-amz-version-id"));
      else reject(new Error(refusalOf(request)));
    };
    request.send(body);
  });
}

function refusalOf({ status, responseText }) {
  const [, code] = /<Code>([\w.]+)<\/Code>/.exec(responseText) ?? [];
  const said = { EntityTooLarge: "The file is too large.", AccessDenied: "You may not drop photos here." };
  return said[code] ?? `The bucket refused it (${code ?? status}). Try again.`;
}

async function poll() {
  polling = true;
  while (photos.some((each) => !ENDED.includes(each.state))) {
    await new Promise((done) => setTimeout(done, POLL_MILLISECONDS));
    const awaited = new Map(photos.filter((each) => each.state === "sent").map((each) => [each.key, each]));
    if (awaited.size) {
      await look(awaited).catch(() => {}); // the next look may succeed
      changed();
    }
  }
  polling = false;
}

async function look(awaited) {
  let cursor = null;
  // Rows come newest first: those of the last second, and some more where many were sent.
  const pages = Math.ceil(awaited.size / ROWS_A_POLL) + 1;
  for (let page = 0; page < pages && awaited.size; page += 1) {
    const found = await get("predictions", { limit: ROWS_A_POLL, cursor });
    for (const record of found.predictions) {
      const photo = awaited.get(record.key);
      if (photo && isAnswerTo(photo, record)) {
        awaited.delete(record.key);
        Object.assign(photo, { record, reason: record.reason, state: record.status.toLowerCase() });
      }
    }
    cursor = found.cursor;
    if (cursor === null) break;
  }
  for (const photo of awaited.values()) {
    if (Date.now() - photo.sentAt > PATIENCE_MILLISECONDS) {
      Object.assign(photo, {
        state: "failed",
        problem: new Error("No answer after five minutes. See: imagedrop dead-letters list"),
      });
    }
  }
}

function isAnswerTo(photo, record) {
  if (photo.version) return record.version === photo.version;
  return new Date(record.received_at).valueOf() > photo.sentAt - 60_000;
}

export function counts() {
  const found = { waiting: 0, sending: 0, sent: 0, classified: 0, rejected: 0, failed: 0 };
  for (const { state } of photos) found[state] += 1;
  return found;
}

addEventListener("beforeunload", (event) => {
  if (photos.some(({ state }) => state === "waiting" || state === "sending")) event.preventDefault();
});
