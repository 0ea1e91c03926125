"""The typed HTTP client: one reused pool of connections, answers as `VaultAnswer`, every failure as `VaultFailure`."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx2

from runpass.secret import Secret
from runpass.vault import deadline, paths, transport
from runpass.vault.answer import VaultAnswer, failure, namespace_not_found, parse
from runpass.vault.errors import AnswerNotUnderstood, Place, Redirected, TokenInvalid, VaultFailure, visible
from runpass.vault.inline import FAILED_HEADER, InlineLogin

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of one answer that are read; a KV secret of Vault is at most 1 MiB."""


class VaultClient:
    """A Vault or OpenBao at one address, in one namespace, with at most one token.

    `with_token` and `in_namespace` give another view on the same pool; only the client that opened it closes it.
    Safe to use from several threads. No proxy, token or certificate is taken from the environment.
    """

    def __init__(
        self,
        address: str,
        *,
        namespace: str = "",
        token: Secret | None = None,
        ca_bundle: Path | None = None,
        tls: transport.Tls | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.tls = tls or transport.Tls(ca_bundle)
        self.address = transport.clean_address(address)
        self.namespace = paths.namespace(namespace)
        self._token = _usable(token)
        self._inline: InlineLogin | None = None
        self.timeout = timeout
        self._pool = transport.open_pool(self.address, tls=self.tls, timeout=timeout)
        self._owns_pool = True

    def __repr__(self) -> str:
        return f"VaultClient({self.address!r}, namespace={self.namespace!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, if this client opened them."""
        if self._owns_pool:
            self._pool.close()

    @property
    def has_token(self) -> bool:
        """Whether requests carry a token."""
        return self._token is not None

    @property
    def logs_in_inline(self) -> bool:
        """Whether requests carry a login of their own."""
        return self._inline is not None

    def with_token(self, token: Secret | None) -> "VaultClient":
        """Give the same Vault seen with another token, or with none at all."""
        return self._view(self.namespace, _usable(token), None)

    def in_namespace(self, namespace: str) -> "VaultClient":
        """Give the same Vault seen in another namespace, named from the root down."""
        return self._view(paths.namespace(namespace), self._token, self._inline)

    def with_inline_login(self, login: InlineLogin) -> "VaultClient":
        """Give the same Vault seen by requests that carry this login each, and no token."""
        return self._view(self.namespace, None, login)

    def _view(self, namespace: str, token: Secret | None, inline: InlineLogin | None) -> "VaultClient":
        view = object.__new__(VaultClient)
        view.address, view.namespace, view.tls = self.address, namespace, self.tls
        view._token, view._inline, view.timeout = token, inline, self.timeout
        view._pool, view._owns_pool = self._pool, False
        return view

    def read(self, path: str, *, accept: Collection[int] = ()) -> VaultAnswer:
        """Read what is at `path`."""
        return self.request("GET", path, accept=accept)

    def write(self, path: str, data: Mapping[str, Any] | None = None, *, accept: Collection[int] = ()) -> VaultAnswer:
        """Write `data` to `path`; a `Secret` in it is revealed to the Vault and to nobody else."""
        return self.request("POST", path, {} if data is None else data, accept=accept)

    def list(self, path: str, *, accept: Collection[int] = ()) -> VaultAnswer:
        """List the keys below `path` (`data["keys"]`)."""
        return self.request("LIST", path, accept=accept)

    def delete(self, path: str, *, accept: Collection[int] = ()) -> VaultAnswer:
        """Delete what is at `path`; nothing being there is no error at most doors."""
        return self.request("DELETE", path, accept=accept)

    def request(
        self, method: str, path: str, data: Mapping[str, Any] | None = None, *, accept: Collection[int] = ()
    ) -> VaultAnswer:
        """Send one request to `/v1/<path>` and give the answer.

        A status outside 2xx is raised as the `VaultFailure` it means, unless `accept` names it: then the answer is
        given with its `errors`. Raised whatever `accept` says: an answer that is not Vault's, a redirect, and a
        namespace that does not exist.
        """
        place = Place(self.address, self.namespace, path)
        secrets = {item.reveal() for item in (self._token, self._inline and self._inline.jwt) if item}
        content = None if data is None else _encode(data, secrets)
        url = f"{self.address}/v1/{paths.encoded(path)}"
        status, headers, body = self._exchange(method, url, content, place)
        if 300 <= status < 400:  # noqa: PLR2004 -- HTTP's own numbers
            raise _redirected(status, headers.get("location", ""), place)
        answer = parse(status, body, place, secrets)
        if status == 404 and "namespace not found" in "; ".join(answer.errors):  # noqa: PLR2004 -- HTTP's own number
            raise namespace_not_found(place, answer.vault_error)
        if 200 <= status < 300 or status in accept:  # noqa: PLR2004 -- HTTP's own numbers
            return answer
        failed = None if self._inline is None else _of_inline(self._inline, answer, headers, place)
        raise failed or failure(answer, place, with_token=self.has_token or self._inline is not None)

    def _exchange(
        self, method: str, url: str, content: bytes | None, place: Place
    ) -> tuple[int, Mapping[str, str], bytes]:
        # SECURITY: one deadline from the first look at the host name to the last byte of the answer. Whoever answers,
        # however slowly, holds this thread no longer than that.
        sending = self._pool.stream(method, url, content=content, headers=self._headers())
        try:
            with deadline.within(self.timeout), sending as response:
                body = _bounded(response, place)
                return response.status_code, response.headers, body
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise transport.translate(error, place) from error

    def _headers(self) -> dict[bytes, bytes]:
        headers = {b"X-Vault-Request": b"true", b"Accept-Encoding": b"identity"}
        if self.namespace:
            headers[b"X-Vault-Namespace"] = self.namespace.encode()
        if self._inline is not None:
            headers |= self._inline.headers()
        if self._token is not None:
            headers[b"X-Vault-Token"] = self._token.reveal().encode()
        return headers


def _of_inline(
    inline: InlineLogin, answer: VaultAnswer, headers: Mapping[str, str], place: Place
) -> VaultFailure | None:
    return inline.failure(answer, place, login_failed=headers.get(FAILED_HEADER) == "true")


def _usable(token: Secret | None) -> Secret | None:
    # SECURITY: an HTTP library's error about an illegal header would repeat the header's value.
    if token is None:
        return None
    text = token.reveal()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise TokenInvalid(
            "the token is empty or not text that a Vault could have issued", hint="Check where it came from."
        )
    return token


def _encode(data: Mapping[str, Any], secrets: set[str]) -> bytes:
    """Give the JSON, adding every `Secret` that went into it to `secrets`."""

    def reveal(value: object) -> str:
        if not isinstance(value, Secret):
            raise TypeError(f"{type(value).__name__} is not JSON")
        if value:
            secrets.add(value.reveal())
        return value.reveal()

    return json.dumps(dict(data), default=reveal).encode()


def _bounded(response: httpx2.Response, place: Place) -> bytes:
    """Give the whole body, unless it is too large or comes too slowly."""
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_BODY:
            raise AnswerNotUnderstood(
                f"the answer of {place} is larger than {MAX_BODY // 1024 // 1024} MiB", status=response.status_code
            )
        if deadline.is_over():
            raise transport.timed_out(place)
    return bytes(body)


def _redirected(status: int, location: str, place: Place) -> VaultFailure:
    try:
        host = urlsplit(location).hostname or "another path of the same host"
    except ValueError:
        host = "an address that cannot be read"
    return Redirected(
        f"{place} redirects to {visible(host, 255)}, and runpass does not follow",
        hint="Use the address that answers itself: the active node, or the load balancer, with https.",
        status=status,
    )
