"""Deployments as the rows of a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from runpass.ids import OrganizationId
from runpass.server.access.users import User, users
from runpass.server.db.engine import Transaction
from runpass.server.deployments.deployment_view import STATUS, TYPES, path_of, tone
from runpass.server.deployments.log_view import lasted
from runpass.server.deployments.model import Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRow:
    """What a list shows of a deployment."""

    deployment: Deployment
    path: str
    status: str
    tone: str
    """The class of the state's colour."""
    kind: str
    starter: User
    lasted: str


def rows_of(tx: Transaction, organization_id: OrganizationId, found: Sequence[Deployment]) -> list[DeploymentRow]:
    """Give the rows of deployments of one organization, with one query for the names of those who started them."""
    starters = users(tx, organization_id, {item.started_by for item in found})
    return [
        DeploymentRow(
            deployment=item,
            path=path_of(item),
            status=STATUS[item.status],
            tone=tone(item.status),
            kind=TYPES[item.type],
            starter=starters[item.started_by],
            lasted=lasted(item.started_at, item.finished_at),
        )
        for item in found
    ]
