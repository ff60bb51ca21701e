// Pictures of rows: fetched few at a time, newest wish first, and kept as long as there is room.
// They are fetched and not named in `src`, because a host may ask for a token.

import { address, call } from "./api.js";

const KEPT = 600;
const PARALLEL = 8;
// A picture that is scrolled past is never asked for.
const PAUSE_MILLISECONDS = 90;

const kept = new Map();
const waiting = [];
let running = 0;

export function canBeShown(record) {
  return record.status === "CLASSIFIED";
}

// Shows the record's picture in `image`; returns a function that gives up.
export function show(image, record, size, onMissing = () => {}) {
  const key = `${record.id} ${record.version} ${size}`;
  const found = kept.get(key);
  image.classList.remove("there");
  if (found) {
    place(image, key, found);
    return () => {};
  }
  const wish = { key, record, size, image, onMissing, abort: new AbortController(), over: false };
  const timer = setTimeout(() => {
    waiting.push(wish);
    work();
  }, PAUSE_MILLISECONDS);
  return () => {
    clearTimeout(timer);
    wish.over = true;
    wish.abort.abort();
  };
}

export function forget(record) {
  for (const [key, url] of kept) {
    if (!key.startsWith(`${record.id} `)) continue;
    URL.revokeObjectURL(url);
    kept.delete(key);
  }
}

function work() {
  while (running < PARALLEL && waiting.length) {
    const wish = waiting.pop();
    if (wish.over) continue;
    running += 1;
    load(wish).finally(() => {
      running -= 1;
      work();
    });
  }
}

async function load(wish) {
  const { record, size } = wish;
  const url = address(`images/${record.id}/thumbnail`, { version: record.version, size });
  try {
    const response = await call(url, { signal: wish.abort.signal });
    const picture = URL.createObjectURL(await response.blob());
    keep(wish.key, picture);
    if (!wish.over) place(wish.image, wish.key, picture);
  } catch (error) {
    if (!wish.over && error.name !== "AbortError") wish.onMissing(error);
  }
}

function keep(key, url) {
  kept.set(key, url);
  if (kept.size <= KEPT) return;
  const [oldest, old] = kept.entries().next().value;
  kept.delete(oldest);
  URL.revokeObjectURL(old);
}

function place(image, key, url) {
  kept.delete(key);
  kept.set(key, url); // the latest shown is the last to go
  image.onload = () => image.classList.add("there");
  image.src = url;
}
