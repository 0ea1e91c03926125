"""What somebody decides about a join token, and making it for them."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from runpass.clock import Clock
from runpass.ids import OrganizationId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Database
from runpass.server.http.wire import ApiModel, Count, PoolName
from runpass.server.runners.joining import JoinTokenRequest, NewJoinToken, create_join_token
from runpass.server.runners.model import DEFAULT_POOL


class JoinTokenFields(ApiModel):
    """How a join token is limited."""

    pool: Annotated[
        PoolName,
        Field(title="Pool", description="Which pool the runners join; it is made if it is new.", examples=["default"]),
    ] = DEFAULT_POOL
    uses: Annotated[
        Count, Field(ge=1, le=1000, title="Uses", description="How many runners may join with it.", examples=[1])
    ] = 1
    lifetime_seconds: Annotated[
        Count,
        Field(
            ge=1,
            le=604_800,
            title="Valid for (seconds)",
            description="How long a runner may join with it: at most a week.",
            examples=[3600],
        ),
    ] = 3600


def make_join_token(
    database: Database, organization_id: OrganizationId, wanted: JoinTokenFields, actor: Actor, clock: Clock
) -> NewJoinToken:
    """Make a join token. Raises `Forbidden`."""
    actor.require_organization(organization_id, Permission.MANAGE_RUNNERS)
    lifetime = timedelta(seconds=wanted.lifetime_seconds)
    request = JoinTokenRequest(organization_id, wanted.pool, wanted.uses, lifetime)
    with database.write() as tx:
        return create_join_token(tx, request, by=actor.audit_name, clock=clock)
