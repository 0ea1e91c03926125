"""Where projects stand, by the names that somebody may see."""

from collections.abc import Mapping, Sequence

from runpass.ids import ProjectId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.tenancy import store
from runpass.server.tenancy.model import Project


def places_of(tx: Transaction, actor: Actor, found: Sequence[Project]) -> Mapping[ProjectId, tuple[Project, ...]]:
    """Give the projects above each of these, from the root down, with one query.

    SECURITY: whoever has a role on a sub-project alone is not told what those above it are called.
    """
    above = {item for project in found for item in project.path[:-1]}
    known = store.list_by_id(tx, actor.organization_id, above) if above else {}
    seen = {item: one for item, one in known.items() if actor.may(Permission.VIEW_PROJECT, one.scope)}
    return {project.id: tuple(seen[item] for item in project.path[:-1] if item in seen) for project in found}
