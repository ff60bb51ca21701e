// Facts about the host, and the token where the host asks for one: OAuth 2.0 with PKCE (RFC 7636).
//
// The token is kept in memory alone. A reload asks the issuer again, which knows the user by then.

import { el } from "./elements.js";

// Renewed so long before its end.
const MARGIN_MILLISECONDS = 60_000;
const PENDING = "imagedrop-sign-in";

let known;
let token = null;
let renewing = null;

export async function host() {
  known ??= fetch(new URL("host.json", document.baseURI)).then((response) => {
    if (!response.ok) throw new Error("The page's server did not send its address. Load the page again.");
    return response.json();
  });
  return known;
}

export async function authorization() {
  const { sign_in: issuer } = await host();
  if (!issuer) return {};
  if (token && token.endsAt - Date.now() > MARGIN_MILLISECONDS) return { authorization: `Bearer ${token.id}` };
  renewing ??= renewed(issuer).finally(() => {
    renewing = null;
  });
  await renewing;
  return { authorization: `Bearer ${token.id}` };
}

async function renewed(issuer) {
  if (token?.refresh) {
    const answer = await exchanged(issuer, { grant_type: "refresh_token", refresh_token: token.refresh });
    if (answer) return;
  }
  await leave(issuer);
}

// To be called once, before anything else: is the user coming back from the issuer?
export async function signedIn() {
  const { sign_in: issuer } = await host();
  if (!issuer) return;
  const query = new URLSearchParams(location.search);
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  if (pending && query.get("state") === pending.state) {
    // The code is of no use a second time, and the address is shown to people.
    history.replaceState(null, "", location.pathname + pending.hash);
    if (query.has("error")) throw new Error(`The issuer refused: ${query.get("error_description") ?? query.get("error")}`);
    const answer = await exchanged(issuer, {
      grant_type: "authorization_code", code: query.get("code"), code_verifier: pending.verifier,
      redirect_uri: here(),
    });
    if (answer) return;
    throw new Error("The issuer gave no token. Load the page again to sign in.");
  }
  await leave(issuer);
}

async function exchanged(issuer, fields) {
  const response = await fetch(issuer.token_endpoint, {
    method: "POST", body: new URLSearchParams({ client_id: issuer.client_id, ...fields }),
  });
  if (!response.ok) return false;
  const { id_token: id, refresh_token: refresh } = await response.json();
  if (!id) return false;
  token = { id, refresh: refresh ?? token?.refresh, endsAt: 1000 * claims(id).exp };
  return true;
}

function claims(id) {
  const bytes = Uint8Array.from(atob(id.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

// Goes to the issuer; never returns.
async function leave(issuer) {
  const verifier = random();
  const state = random();
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, hash: location.hash }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const url = new URL(issuer.authorization_endpoint);
  const asked = {
    response_type: "code", client_id: issuer.client_id, redirect_uri: here(), scope: issuer.scope, state,
    code_challenge: urlText(new Uint8Array(digest)), code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  location.assign(url);
  await new Promise(() => {});
}

function here() {
  return location.origin + location.pathname;
}

function random() {
  return urlText(crypto.getRandomValues(new Uint8Array(32)));
}

function urlText(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// Who is signed in, for the head of the page.
export function user() {
  if (!token) return null;
  const { email, sub } = claims(token.id);
  return el("span", { class: "user soft small" }, email ?? sub);
}
