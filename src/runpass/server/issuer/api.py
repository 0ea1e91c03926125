"""The issuer's public doors: plain Starlette routes, no sign-in and no database.

The key set stands at the shared URL, cacheable, and at URLs that name who fetches, where nobody may keep it. Every name
gets the same keys, whether anybody gave it out or not: so no answer tells which names there are, none has to be looked
up, and one that was taken back, or lost with a restored database, keeps no Vault from its keys.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.server.issuer.confirming import OnFetch
from runpass.server.issuer.discovery import Document, jwks_document, provider_metadata
from runpass.server.issuer.ring import KeyRing, RingSource

MAX_AGE_SECONDS = 300
NAME: Final = re.compile(r"[A-Za-z0-9_-]{22,64}\Z")
"""What may have been given out: at least 128 bits in base64url."""


@dataclass(frozen=True, slots=True)
class _Answers:
    """What is sent for one document, made once: a response is not changed by being sent."""

    etag: str
    whole: Response
    not_modified: Response

    @classmethod
    def with_(cls, document: Document, cache_control: str) -> Self:
        """Give the answers with a document."""
        headers = {"ETag": document.etag, "Cache-Control": cache_control}
        whole = Response(document.body, media_type="application/json", headers=headers)
        return cls(document.etag, whole, Response(status_code=304, headers=headers))

    def to(self, request: Request) -> Response:
        """Give the answer to this request (RFC 9110, section 13.1.2)."""
        asked = request.headers.get("if-none-match")
        if asked and self.etag in {tag.strip().removeprefix("W/") for tag in asked.split(",")}:
            return self.not_modified
        return self.whole


@dataclass(frozen=True, slots=True)
class _Documents:
    """The documents of one ring."""

    ring: KeyRing
    metadata: _Answers
    jwks: _Answers
    own_jwks: _Answers
    kids: frozenset[str]


class IssuerDocuments:
    """Serves the provider metadata and the JWK Set of one issuer, made anew whenever its ring is another one.

    Without a ring that can be trusted to be right there is no document: 503.
    """

    def __init__(
        self,
        ring: RingSource,
        issuer_url: str,
        jwks_url: str,
        *,
        max_age_seconds: int = MAX_AGE_SECONDS,
        on_fetch: OnFetch | None = None,
        introspection_url: str | None = None,
    ) -> None:
        self._ring = ring
        self._issuer_url = issuer_url
        self._jwks_url = jwks_url
        self._cached = f"public, max-age={max_age_seconds}"
        self._on_fetch = on_fetch
        self._introspection_url = introspection_url
        self._made = self._make(ring.current)

    def routes(self, path: str) -> list[Route]:
        """Give the routes below a path without trailing slash."""
        well_known = f"{path}/.well-known"
        return [
            Route(f"{well_known}/openid-configuration", self.metadata, methods=["GET"], name="issuer.metadata"),
            Route(f"{well_known}/jwks.json", self.jwks, methods=["GET"], name="issuer.jwks"),
            Route(f"{well_known}/jwks/{{name}}.json", self.own_jwks, methods=["GET"], name="issuer.own_jwks"),
        ]

    async def metadata(self, request: Request) -> Response:
        """Answer OpenID Provider metadata."""
        return self._documents().metadata.to(request)

    async def jwks(self, request: Request) -> Response:
        """Answer the JWK Set."""
        return self._documents().jwks.to(request)

    async def own_jwks(self, request: Request) -> Response:
        """Answer the JWK Set to whoever this name was given to, and tell that it was fetched."""
        name, documents = request.path_params["name"], self._documents()
        if self._on_fetch is not None and request.method == "GET" and NAME.match(name):
            self._on_fetch(name, documents.kids)
        return documents.own_jwks.to(request)

    def _documents(self) -> _Documents:
        ring = self._ring.current
        made = self._made
        if made.ring is not ring:
            self._made = made = self._make(ring)
        return made

    def _make(self, ring: KeyRing) -> _Documents:
        metadata = provider_metadata(self._issuer_url, self._jwks_url, ring, self._introspection_url)
        jwks = jwks_document(ring)
        return _Documents(
            ring,
            _Answers.with_(metadata, self._cached),
            _Answers.with_(jwks, self._cached),
            _Answers.with_(jwks, "no-store"),
            frozenset(key.kid for key in ring.keys),
        )
