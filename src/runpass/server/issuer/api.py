"""The issuer's public doors: plain Starlette routes, cacheable, no sign-in and no database."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.server.issuer.discovery import Document, jwks_document, provider_metadata
from runpass.server.issuer.ring import KeyRing, RingSource

MAX_AGE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class _Documents:
    """The documents of one ring."""

    ring: KeyRing
    metadata: Document
    jwks: Document


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
        introspection_url: str | None = None,
    ) -> None:
        self._ring = ring
        self._issuer_url = issuer_url
        self._jwks_url = jwks_url
        self._max_age_seconds = max_age_seconds
        self._introspection_url = introspection_url
        self._made = self._make(ring.current)

    def routes(self, path: str) -> list[Route]:
        """Give the routes below a path without trailing slash."""
        well_known = f"{path}/.well-known"
        return [
            Route(f"{well_known}/openid-configuration", self.metadata, methods=["GET"], name="issuer.metadata"),
            Route(f"{well_known}/jwks.json", self.jwks, methods=["GET"], name="issuer.jwks"),
        ]

    async def metadata(self, request: Request) -> Response:
        """Answer OpenID Provider metadata."""
        return self._answer(request, self._documents().metadata)

    async def jwks(self, request: Request) -> Response:
        """Answer the JWK Set."""
        return self._answer(request, self._documents().jwks)

    def _documents(self) -> _Documents:
        ring = self._ring.current
        made = self._made
        if made.ring is not ring:
            self._made = made = self._make(ring)
        return made

    def _make(self, ring: KeyRing) -> _Documents:
        metadata = provider_metadata(self._issuer_url, self._jwks_url, ring, self._introspection_url)
        return _Documents(ring, metadata, jwks_document(ring))

    def _answer(self, request: Request, document: Document) -> Response:
        headers = {"ETag": document.etag, "Cache-Control": f"public, max-age={self._max_age_seconds}"}
        asked = request.headers.get("if-none-match", "")
        if document.etag in {tag.strip().removeprefix("W/") for tag in asked.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(document.body, media_type="application/json", headers=headers)
