"""Changing policies, of an organization and of a project: the rules of the JSON routes and of the console."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runpass.clock import Clock
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Database
from runpass.server.http.preconditions import check_unchanged
from runpass.server.issuer.rings import Rings
from runpass.server.settings import ServerSettings
from runpass.server.tenancy import store
from runpass.server.tenancy.choosing_issuer import check_allowed, make_ready, take_leave
from runpass.server.tenancy.identities import NAMES as IDENTITY_POLICIES
from runpass.server.tenancy.lookup import own_organization, project_for
from runpass.server.tenancy.model import Organization, Project
from runpass.server.tenancy.policies import OWN_COLUMNS, changed_columns, check_default, decided
from runpass.server.tenancy.policy_requests import ChangePolicies, ChangePolicy

_TOLD: Final = {
    *OWN_COLUMNS,
    *IDENTITY_POLICIES,
    "requires_approval",
    "allowed_identity_audiences",
    "identity_issuer",
    "max_ttl",
    "default_ttl",
}
"""What the audit trail tells of a change, with its new value."""


@dataclass(frozen=True, slots=True)
class OrganizationPolicies:
    """Changes the policies of organizations."""

    database: Database
    rings: Rings
    settings: ServerSettings
    clock: Clock

    def change(self, actor: Actor, wanted: ChangePolicies, if_match: str | None) -> Organization:
        """Change the policies of the actor's organization; give it as it is then.

        Raises `Forbidden`, `InvalidInput` for policies that contradict each other, `PreconditionFailed` if it is not
        what `if_match` names, and `Conflict` if somebody else was faster.
        """
        actor.require_organization(actor.organization_id, Permission.EDIT_ORGANIZATION_SETTINGS)
        sent = decided(wanted.model_dump(mode="json", by_alias=False, exclude_unset=True))
        check_allowed(wanted.identity_issuer, self.settings)
        make_ready(self.rings, actor.organization_id, wanted.identity_issuer)
        with self.database.write() as tx:
            organization = own_organization(tx, actor)
            check_unchanged(if_match, organization.updated_at)
            now = self.clock.now()
            changed = store.update_organization(tx, organization, changed_columns(organization, sent), now)
            record(tx, _of_organization(organization, actor, sent, now))
        take_leave(self.rings, changed)
        return changed


def change_project_policy(
    database: Database, actor: Actor, wanted: ChangePolicy, *, if_match: str | None, clock: Clock
) -> Project:
    """Change a project's policy, which can only add to what stands above it; give the project as it is then.

    Raises `NotFound` or `Forbidden`, `InvalidInput` for a policy that contradicts itself, `PreconditionFailed` if the
    project is not what `if_match` names, and `Conflict` if somebody else was faster.
    """
    policies: dict[str, Any] = wanted.model_dump(exclude={"project_id"})
    check_default(policies)
    with database.write() as tx:
        project = project_for(tx, actor, wanted.project_id, Permission.EDIT_PROJECT_SETTINGS)
        check_unchanged(if_match, project.updated_at)
        now, kept = clock.now(), {**policies, "updated_by": actor.audit_name}
        changed = store.change_project(tx, project, {"policies": kept}, now)
        record(tx, _of_project(project, actor, wanted, now))
    return changed


def _of_organization(organization: Organization, actor: Actor, wanted: Mapping[str, Any], at: datetime) -> AuditEvent:
    detail = {name: _told(value) for name, value in wanted.items() if name in _TOLD}
    subject = str(organization.id)
    action = "organization.policies_changed"
    return AuditEvent(at, actor.audit_name, action, "organization", subject, organization.id, detail)


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).lower()


def _of_project(project: Project, actor: Actor, policy: ChangePolicy, at: datetime) -> AuditEvent:
    detail = {
        "requiresApprovalDefault": str(policy.requires_approval_default).lower(),
        "disableDestroyEnvironments": str(policy.disable_destroy_environments).lower(),
        "maxTtl": str(policy.max_ttl).lower(),
        "defaultTtl": str(policy.default_ttl).lower(),
    }
    subject, organization = str(project.id), project.organization_id
    return AuditEvent(at, actor.audit_name, "project.policy_changed", "project", subject, organization, detail)
