"""A client for the HTTP protocol of container registries.

The protocol is the OCI distribution specification 1.1, which Docker registries and Amazon ECR
speak: blobs (layers, configurations) and manifests, addressed by their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlencode, urljoin

import urllib3

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1024 * 1024
# An index or a manifest has some kB; the specification asks registries to accept 4 MB.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPTED = ", ".join((DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX))


class RegistryError(Exception):
    """A registry did not do what was asked; the message says which, and what to do."""


class UnreachableError(RegistryError):
    """No connection to the registry."""


class DeniedError(RegistryError):
    """The registry knows the caller and refuses, or does not know it."""


class MissingError(RegistryError):
    """The registry does not have it."""


class DigestError(RegistryError):
    """The registry sent other bytes than the digest names."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index, as the registry sent it."""

    content: bytes
    media_type: str

    def to_json(self) -> dict[str, Any]:
        """Returns the parsed content."""
        parsed: dict[str, Any] = json.loads(self.content)
        return parsed


class Repository:
    """One repository of a registry.

    Args:
        http: the connection pool. It must not follow redirects with the caller's credentials to
            another host; urllib3's default does not.
        registry_url: scheme and host, without a slash at the end.
        name: the repository's name.
        authorization: value of the Authorization header; None for anonymous access. A registry
            that asks for a bearer token gets one by its own challenge.
    """

    def __init__(
        self,
        http: urllib3.PoolManager,
        registry_url: str,
        name: str,
        authorization: str | None = None,
    ) -> None:
        self._http = http
        self._registry_url = registry_url
        self.name = name
        self._authorization = authorization

    def manifest(self, reference: str) -> Manifest:
        """Reads a manifest by tag or digest; the content of a digest is checked.

        Raises:
            RegistryError: it is missing, refused, or not what the digest says.
        """
        with self._request("GET", f"manifests/{reference}", {"Accept": ACCEPTED}) as response:
            content = response.read(MAX_MANIFEST_BYTES + 1)
            media_type = response.headers.get("Content-Type", "").partition(";")[0]
        if len(content) > MAX_MANIFEST_BYTES:
            raise RegistryError(f"The manifest {self._named(reference)} is larger than 4 MB.")
        if reference.startswith("sha256:"):
            self._check(reference, sha256_digest(content))
        return Manifest(content, media_type)

    def has_manifest(self, reference: str) -> bool:
        """Returns True if a manifest with that tag or digest exists."""
        return self._exists(f"manifests/{reference}", {"Accept": ACCEPTED})

    def has_blob(self, digest: str) -> bool:
        """Returns True if a blob with that digest exists."""
        return self._exists(f"blobs/{digest}", {})

    def blob(self, digest: str, limit_bytes: int) -> bytes:
        """Reads a small blob.

        Raises:
            RegistryError: it is missing, refused, too large, or not what the digest says.
        """
        content = b""
        for chunk in self.chunks(digest):
            content += chunk
            if len(content) > limit_bytes:
                raise RegistryError(f"The blob {self._named(digest)} is too large.")
        return content

    def chunks(self, digest: str) -> Iterator[bytes]:
        """Reads a blob in pieces; the last one comes only if all of them match the digest.

        Raises:
            RegistryError: as for `blob`.
        """
        hasher = hashlib.sha256()
        held = b""
        with self._request("GET", f"blobs/{digest}", {}) as response:
            for chunk in response.stream(CHUNK_BYTES):
                hasher.update(chunk)
                if held:
                    yield held
                held = chunk
        self._check(digest, f"sha256:{hasher.hexdigest()}")
        if held:
            yield held

    def push_blob(self, digest: str, size_bytes: int, content: Iterator[bytes] | IO[bytes]) -> None:
        """Uploads a blob as one piece, as Docker does: POST, PATCH, PUT.

        Raises:
            RegistryError: the registry refuses it, or the bytes do not match the digest.
        """
        with self._request("POST", "blobs/uploads/", {}) as response:
            location = self._location(response)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size_bytes),
        }
        with self._request("PATCH", location, headers, content) as response:
            location = self._location(response)
        separator = "&" if "?" in location else "?"
        complete = f"{location}{separator}{urlencode({'digest': digest})}"
        with self._request("PUT", complete, {"Content-Length": "0"}):
            pass

    def push_manifest(self, tag: str, manifest: Manifest) -> str:
        """Uploads a manifest under a tag; returns its digest.

        Raises:
            RegistryError: the registry refuses it.
        """
        headers = {"Content-Type": manifest.media_type}
        with self._request("PUT", f"manifests/{tag}", headers, manifest.content):
            return sha256_digest(manifest.content)

    def _exists(self, path: str, headers: Mapping[str, str]) -> bool:
        try:
            with self._request("HEAD", path, headers):
                return True
        except MissingError:
            return False

    @contextmanager
    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterator[bytes] | IO[bytes] | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        url = path if "://" in path else f"{self._registry_url}/v2/{self.name}/{path}"
        response = self._send(method, url, headers, body)
        challenge = response.headers.get("WWW-Authenticate", "")
        # Only a request without a body: a stream cannot be sent twice. Each upload begins with one.
        if response.status == 401 and body is None and challenge.lower().startswith("bearer "):
            response.drain_conn()
            self._authorization = f"Bearer {self._token(challenge)}"
            response = self._send(method, url, headers, body)
        try:
            self._raise_for(method, path, response)
            yield response
            response.drain_conn()
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(f"{self._registry_url} broke off: {error}") from error
        finally:
            # A connection with unread bytes cannot serve the next request; a drained one is kept.
            response.close()

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterator[bytes] | IO[bytes] | None,
    ) -> urllib3.BaseHTTPResponse:
        if self._authorization is not None:
            headers = {**headers, "Authorization": self._authorization}
        try:
            return self._http.request(
                method,
                url,
                body=body,
                headers=headers,
                preload_content=False,
                redirect=body is None,
                # An iterator is not chunked: ECR and Docker's registry get a length.
                chunked=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(
                f"Cannot reach {self._registry_url}: {error}. The function needs a route to the "
                "internet (in a VPC: a NAT gateway); or build the image yourself and name it in "
                "the parameter ServingImageUri."
            ) from error

    def _raise_for(self, method: str, path: str, response: urllib3.BaseHTTPResponse) -> None:
        if 200 <= response.status < 300:
            return
        detail = "" if method == "HEAD" else response.read(500).decode(errors="replace")
        what = f"{method} {self._named(path.partition('?')[0])}: HTTP {response.status} {detail}"
        if response.status in (401, 403):
            raise DeniedError(
                f"{self._registry_url} denies access. {what.strip()} For the stack's own "
                "repository: check the policy of the function's role."
            )
        if response.status == 404:
            raise MissingError(f"{self._registry_url} does not have it. {what.strip()}")
        raise RegistryError(f"{self._registry_url} refuses. {what.strip()}")

    def _token(self, challenge: str) -> str:
        """Fetches an anonymous token from where a `WWW-Authenticate: Bearer` header says."""
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = fields.pop("realm", "")
        if not realm.startswith(f"{self._registry_url.partition('://')[0]}://"):
            raise DeniedError(f"{self._registry_url} asks for a token from {realm!r}.")
        response = self._send_anonymously(f"{realm}?{urlencode(fields)}")
        if response.status != 200:
            raise DeniedError(f"{realm} gives no anonymous token: HTTP {response.status}.")
        answer = response.json()
        token: str = answer.get("token") or answer["access_token"]
        return token

    def _send_anonymously(self, url: str) -> urllib3.BaseHTTPResponse:
        try:
            return self._http.request("GET", url)
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(f"Cannot reach {url}: {error}") from error

    def _location(self, response: urllib3.BaseHTTPResponse) -> str:
        """Returns where an upload continues; a registry may answer with a path only."""
        return urljoin(f"{self._registry_url}/", response.headers["Location"])

    def _check(self, expected: str, found: str) -> None:
        if found != expected:
            raise DigestError(
                f"{self._registry_url} sent {found} for {self._named(expected)}. "
                "The download is damaged or was replaced; nothing was published."
            )

    def _named(self, reference: str) -> str:
        return f"{self.name}/{reference.rpartition('/')[2]}"


def sha256_digest(content: bytes) -> str:
    """Returns `sha256:` and the hexadecimal hash: how registries address content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def connections() -> urllib3.PoolManager:
    """Returns a pool with timeouts; it follows at most three redirects and repeats nothing."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS),
        retries=urllib3.Retry(total=3, connect=2, read=0, redirect=3, status=0, other=0),
    )
