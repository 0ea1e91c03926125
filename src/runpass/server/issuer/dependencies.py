"""What handlers of the management API ask of the issuer's room."""

from typing import Annotated

from fastapi import Depends, Request

from runpass.server.issuer.rings import Rings


async def _rings(request: Request) -> Rings:
    rings: Rings = request.app.state.rings
    return rings


KeyRings = Annotated[Rings, Depends(_rings)]
