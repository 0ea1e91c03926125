"""Fetches the issuer's two public documents, for those Vaults that cannot fetch them themselves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from runpass.errors import ControlPlaneError
from runpass.vault import deadline, transport
from runpass.vault.errors import Place, VaultFailure, visible
from runpass.vault.transport import Tls

MAX_DOCUMENT: Final = 1_048_576
METADATA: Final = ".well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Documents:
    """Both documents, byte for byte as the issuer serves them."""

    issuer: str
    jwks_url: str
    metadata: bytes
    jwks: bytes


def fetch_documents(url: str, tls: Tls, *, timeout: float) -> Documents:
    """Give both documents of the issuer that answers at `url`. Raises `ControlPlaneError` in bounded words."""
    metadata = fetch(f"{url.rstrip('/')}/{METADATA}", tls, timeout=timeout)
    content = _object(metadata, "discovery document")
    issuer, jwks_url = content.get("issuer"), content.get("jwks_uri")
    if not isinstance(issuer, str) or not isinstance(jwks_url, str):
        raise ControlPlaneError("the discovery document names no issuer and no key set")
    jwks = fetch(jwks_url, tls, timeout=timeout)
    if not isinstance(_object(jwks, "key set").get("keys"), list):
        raise ControlPlaneError("the issuer's key set is not one", hint="It is JSON with a list of keys in it.")
    return Documents(issuer, jwks_url, metadata, jwks)


def fetch(url: str, tls: Tls, *, timeout: float) -> bytes:
    """Give what a GET is answered with; no redirect is followed, and nothing from the environment is used."""
    place = Place(visible(url, 512))
    try:
        with transport.open_pool(transport.clean_address(url), tls=tls, timeout=timeout) as pool:
            return _body(pool, url, place, timeout)
    except VaultFailure as error:
        raise ControlPlaneError(error.message, hint=_about_the_issuer(error)) from error


def _body(pool: httpx2.Client, url: str, place: Place, timeout: float) -> bytes:
    try:
        with deadline.within(timeout), pool.stream("GET", url, headers={"Accept": "application/json"}) as response:
            if response.status_code != httpx2.codes.OK:
                raise ControlPlaneError(
                    f"{place} answered {response.status_code}", hint="Is this the issuer's address, as it is seen here?"
                )
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_DOCUMENT:
                    raise ControlPlaneError(f"the answer of {place} is larger than {MAX_DOCUMENT} bytes")
                if deadline.is_over():
                    raise transport.timed_out(place)
            return bytes(body)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise transport.translate(error, place) from error


def _object(body: bytes, what: str) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ControlPlaneError(f"the issuer's {what} is not JSON", hint="Is this the issuer's address?")
    return content


def _about_the_issuer(error: VaultFailure) -> str | None:
    return None if error.hint is None else error.hint.replace("the Vault's", "the issuer's")
