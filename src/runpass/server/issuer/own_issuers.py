"""The issuers of organizations: their public documents, and minting for them.

SECURITY: anybody may ask for the documents of any organization. What they ask for is first looked up among the
organizations that have an issuer of their own, in memory; everything else is 404 without a query, a key or a trace.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.clock import Clock
from runpass.errors import NotFound, Unavailable
from runpass.server.issuer.addresses import OWN, IssuerAddresses
from runpass.server.issuer.api import IssuerDocuments
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.rings import MOST_IN_MEMORY, Rings

READ_AT_ONCE: Final = 2
"""Threads that may read rings for the documents: the first fetches of ten thousand must leave threads for others."""
MOST_WAITING: Final = 256


@dataclass(frozen=True, slots=True)
class OwnMinters:
    """Minters of organizations that chose an issuer of their own."""

    rings: Rings
    addresses: IssuerAddresses
    clock: Clock

    def of(self, organization_id: UUID) -> Minter:
        """Give the minter of one organization; the first time its ring is read, and its first key made."""
        return Minter(self.rings.ring_for(organization_id), self.addresses.issuer_url(organization_id), self.clock)


class OwnIssuerDocuments:
    """Serves provider metadata and JWK Set of every organization that has an issuer of its own."""

    def __init__(self, rings: Rings, addresses: IssuerAddresses, *, max_age_seconds: int) -> None:
        self._rings = rings
        self._addresses = addresses
        self._max_age_seconds = max_age_seconds
        self._made: OrderedDict[UUID, IssuerDocuments] = OrderedDict()
        self._readers = asyncio.Semaphore(READ_AT_ONCE)
        self._waiting = 0

    def routes(self, path: str) -> list[Route]:
        """Give the routes below the path, without trailing slash, at which the shared documents are."""
        well_known = f"{path}{OWN}/{{organization_id}}/.well-known"
        return [
            Route(f"{well_known}/openid-configuration", self.metadata, methods=["GET"]),
            Route(f"{well_known}/jwks.json", self.jwks, methods=["GET"]),
        ]

    async def metadata(self, request: Request) -> Response:
        """Answer OpenID Provider metadata of one organization."""
        return await (await self._documents(request)).metadata(request)

    async def jwks(self, request: Request) -> Response:
        """Answer the JWK Set of one organization."""
        return await (await self._documents(request)).jwks(request)

    async def _documents(self, request: Request) -> IssuerDocuments:
        organization_id = self._known(request.path_params["organization_id"])
        made = self._made.get(organization_id)
        if made is None or not self._rings.is_in_memory(organization_id):
            made = await self._read(organization_id)
        return made

    def _known(self, text: str) -> UUID:
        """Give the organization. There is one way to write its id, as there is one `iss`."""
        try:
            organization_id = UUID(text)
        except ValueError:
            organization_id = None
        if organization_id is None or str(organization_id) != text or not self._rings.has_issuer(organization_id):
            raise NotFound("there is no such issuer")
        return organization_id

    async def _read(self, organization_id: UUID) -> IssuerDocuments:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many issuers are read for the first time right now")
        self._waiting += 1
        try:
            async with self._readers:
                made = await run_in_threadpool(self._make, organization_id)
        finally:
            self._waiting -= 1
        self._made[organization_id] = made
        if len(self._made) > MOST_IN_MEMORY:
            self._made.popitem(last=False)
        return made

    def _make(self, organization_id: UUID) -> IssuerDocuments:
        return IssuerDocuments(
            self._rings.ring_for(organization_id),
            self._addresses.issuer_url(organization_id),
            self._addresses.jwks_url(organization_id),
            max_age_seconds=self._max_age_seconds,
            introspection_url=self._addresses.introspection_url,
        )
