"""Roles on projects, as API keys and people are given them."""

from collections.abc import Mapping

from runpass.errors import FieldError, InvalidInput
from runpass.ids import OrganizationId, ProjectId
from runpass.protocol.wire import MOST_ERRORS
from runpass.server.access import store
from runpass.server.access.permissions import ProjectRole
from runpass.server.db.engine import Transaction


def check_projects(tx: Transaction, organization_id: OrganizationId, roles: Mapping[ProjectId, ProjectRole]) -> None:
    """Raise `InvalidInput` for roles on projects that are not there.

    SECURITY: a role on somebody else's project, or on one that is to come, would be a door left open.
    """
    if not roles:
        return
    there = store.existing_projects(tx, organization_id, roles.keys())
    wrong = tuple(
        FieldError(f"permissions.projectsPermissions.{place}.projectId", "there is no such project")
        for place, project in enumerate(roles)
        if project not in there
    )
    if wrong:
        raise InvalidInput("; ".join(f"{item.field}: {item.message}" for item in wrong[:MOST_ERRORS]), wrong)


def told(roles: Mapping[ProjectId, ProjectRole]) -> dict[str, str]:
    """Give what the audit trail tells of roles on projects: for each role the projects, by id."""
    return {
        f"projects{role.value}": " ".join(sorted(str(project) for project, held in roles.items() if held is role))
        for role in ProjectRole
        if role in roles.values()
    }
