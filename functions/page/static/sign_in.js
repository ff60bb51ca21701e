// Facts about the host, and the token where the host asks for one.

let known;

export async function host() {
  known ??= fetch(new URL("host.json", document.baseURI)).then((response) => response.json());
  return known;
}

export async function authorization() {
  return {};
}
