"""What runs have left behind: Vault tokens that may still live, and identity tokens of jobs that could still log in.

Two numbers everywhere, never one: what is known to be outstanding, and what nobody can know. For the API and for pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runpass.ids import DeploymentId, OrganizationId, ProjectId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments import login_store, token_store
from runpass.server.deployments.keeper import LEEWAY
from runpass.server.deployments.login_model import Standing, StoredLogin
from runpass.server.deployments.token_store import HeldToken
from runpass.server.tenancy import store
from runpass.server.tenancy.visibility import visible_to

MOST: Final = 1_000
"""Of each kind that one answer has."""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What is left of an organization's runs, as somebody may see it, oldest first."""

    known: Sequence[StoredLogin]
    """Logins whose token may still live."""
    unknown: Sequence[StoredLogin]
    """Logins of which nobody knows whether they gave a token."""
    in_use: int
    """Logins of runs that go on."""
    identity_tokens: Sequence[HeldToken]
    is_complete: bool
    """Whether nothing was left out because there is so much."""


def outstanding(
    tx: Transaction,
    actor: Actor,
    organization_id: OrganizationId,
    deployment_id: DeploymentId | None,
    now: datetime,
    *,
    project_id: ProjectId | None = None,
) -> Outstanding:
    """Give what is outstanding in the projects whose credentials the actor may see, or in one of these.

    Raises `NotFound` for a foreign organization, `Forbidden` for somebody who sees credentials nowhere.
    """
    if actor.projects_with(Permission.VIEW_CREDENTIALS) == frozenset() or organization_id != actor.organization_id:
        actor.require_organization(organization_id, Permission.VIEW_CREDENTIALS)  # an empty answer would say "nothing"
    visible = visible_to(tx, actor, Permission.VIEW_CREDENTIALS)
    if project_id is not None:
        visible = visible & store.is_project(project_id)
    logins = login_store.open_logins(tx, organization_id, visible, deployment_id, MOST + 1)
    tokens = token_store.tokens_of_ended_runs(
        tx, organization_id, visible, deployment_id, expires_after=now - LEEWAY, limit=MOST + 1
    )
    found: dict[Standing, list[StoredLogin]] = {standing: [] for standing in Standing}
    for login in logins[:MOST]:
        found[login.standing(now)].append(login)
    return Outstanding(
        known=found[Standing.OUTSTANDING],
        unknown=found[Standing.UNKNOWN],
        in_use=len(found[Standing.IN_USE]),
        identity_tokens=tokens[:MOST],
        is_complete=max(len(logins), len(tokens)) <= MOST,
    )
