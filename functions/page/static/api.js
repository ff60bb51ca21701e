// The stack's JSON API. Every answer that is not a success is a Problem, with what it says.

import { authorization } from "./sign_in.js";

export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
  }

  // For an address without an id: the stack is older than this page.
  get isMissingRoute() {
    return [404, 405, 501].includes(this.status);
  }
}

// Relative to the page's address, which holds the token of `imagedrop page`.
const ROOT = new URL("api/", document.baseURI);

export function address(path, parameters = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url;
}

export async function call(url, { method = "GET", body, signal } = {}) {
  const headers = { accept: "application/json, image/*", ...(await authorization()) };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body),
      keepalive: method === "PUT", // what a person said arrives though the window closes
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "No connection",
      "The page's server does not answer. Is `imagedrop page` still running?");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function get(path, parameters, options) {
  return (await call(address(path, parameters), options)).json();
}

async function problemOf(response) {
  let said = {};
  try {
    said = await response.json();
  } catch {
    // Not JSON: the status has to do.
  }
  return new Problem(
    response.status, said.title || `Error ${response.status}`, said.detail || said.message || "");
}
