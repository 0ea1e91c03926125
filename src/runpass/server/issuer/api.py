"""The issuer's public doors: plain Starlette routes, cacheable, no sign-in and no database."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.server.issuer.discovery import MAX_AGE_SECONDS, Document, jwks_document, provider_metadata
from runpass.server.issuer.ring import KeyRing


class IssuerDocuments:
    """Serves the provider metadata and the JWK Set of one issuer."""

    def __init__(self, ring: KeyRing, issuer_url: str, jwks_url: str) -> None:
        self._metadata = provider_metadata(issuer_url, jwks_url, ring)
        self._jwks = jwks_document(ring)

    def routes(self, path: str) -> list[Route]:
        """Give the routes below a path without trailing slash."""
        well_known = f"{path}/.well-known"
        return [
            Route(f"{well_known}/openid-configuration", self.metadata, methods=["GET"], name="issuer.metadata"),
            Route(f"{well_known}/jwks.json", self.jwks, methods=["GET"], name="issuer.jwks"),
        ]

    async def metadata(self, request: Request) -> Response:
        """Answer OpenID Provider metadata."""
        return _answer(request, self._metadata)

    async def jwks(self, request: Request) -> Response:
        """Answer the JWK Set."""
        return _answer(request, self._jwks)


def _answer(request: Request, document: Document) -> Response:
    headers = {"ETag": document.etag, "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"}
    asked = request.headers.get("if-none-match", "")
    if document.etag in {tag.strip().removeprefix("W/") for tag in asked.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(document.body, media_type="application/json", headers=headers)
