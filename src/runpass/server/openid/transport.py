"""The one way to the provider: HTTPS, or the loopback interface; no redirects, no proxies, bounded answers."""

import json
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from runpass.errors import ConfigurationError, Unavailable
from runpass.protocol.credentials import is_loopback

SECONDS: Final = 10.0
MOST_BYTES: Final = 262_144
"""Of any answer."""


class ProviderFailed(Unavailable):
    """The provider did not answer, or not in words that we know. The message never repeats what it said."""


def is_safe(url: str) -> bool:
    """Whether this is a URL that secrets may be sent to."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    if not url.isascii() or not url.isprintable() or " " in url or parts.username or parts.fragment:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )


class Transport:
    """A pool of connections to the provider. Threads may share it."""

    def __init__(self, *, ca_file: Path | None, is_https: bool) -> None:
        self._http = httpx2.Client(
            verify=_authorities(ca_file) if is_https else False,
            trust_env=False,
            follow_redirects=False,
            timeout=SECONDS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self._is_https = is_https

    def json(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Give the JSON object of a 200. Raises `ProviderFailed`."""
        # SECURITY: a provider with HTTPS never makes us speak in clear text, to whatever place.
        if not is_safe(url) or (self._is_https and not url.startswith("https:")):
            raise ProviderFailed("the provider named an address that is not HTTPS")
        sent = {"Accept": "application/json", **(headers or {})}
        try:
            with self._http.stream(method, url, headers=sent, data=form) as answer:
                if answer.status_code != HTTPStatus.OK:
                    raise ProviderFailed(f"the provider answered with status {answer.status_code}")
                body = _bounded(answer)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ProviderFailed("the provider cannot be reached") from error
        return _object(body)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _authorities(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return httpx2.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"openid_ca_file {ca_file} cannot be read as PEM certificates") from error


def _bounded(answer: httpx2.Response) -> bytes:
    found = bytearray()
    for part in answer.iter_bytes():
        found += part
        if len(found) > MOST_BYTES:
            raise ProviderFailed("the provider's answer is too long")
    return bytes(found)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed("the provider's answer is not JSON") from error
    if not isinstance(found, dict):
        raise ProviderFailed("the provider's answer is not a JSON object")
    return found
