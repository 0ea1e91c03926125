"""The actor of a request, and what it is asked: whether it may do this, here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from runpass.errors import Forbidden, NotFound
from runpass.ids import OrganizationId, ProjectId
from runpass.server.access.permissions import (
    ORGANIZATION_PERMISSIONS,
    PROJECT_PERMISSIONS,
    OrganizationRole,
    Permission,
    ProjectRole,
)


class ActorKind(StrEnum):
    """What proved itself; with a colon behind it, how its names begin in the audit trail."""

    API_KEY = "api-key"
    PERSON = "user"


class Denied(Forbidden):
    """An actor lacks a permission; the audit trail says which."""

    def __init__(self, permission: Permission) -> None:
        super().__init__(f"this needs the permission {permission.value}")
        self.permission = permission


@dataclass(frozen=True, slots=True)
class ScopePath:
    """Where something stands: the organization, and the projects from the root down to it."""

    organization_id: OrganizationId
    project_ids: tuple[ProjectId, ...] = ()


@dataclass(frozen=True, slots=True)
class Actor:
    """An API key or a person that proved itself. A person does so in the console alone, an API key at every door."""

    id: UUID
    """The API key's or the person's own."""
    name: str
    organization_id: OrganizationId
    organization_role: OrganizationRole
    project_roles: Mapping[ProjectId, ProjectRole] = field(default_factory=dict)
    kind: ActorKind = ActorKind.API_KEY

    @property
    def audit_name(self) -> str:
        """Give the name the audit trail knows this actor by."""
        return f"{self.kind}:{self.id}"

    def may(self, permission: Permission, scope: ScopePath) -> bool:
        """Whether this actor has the permission at this place."""
        if scope.organization_id != self.organization_id:
            return False
        if permission in ORGANIZATION_PERMISSIONS[self.organization_role]:
            return True
        roles = (self.project_roles.get(project) for project in scope.project_ids)
        return any(permission in PROJECT_PERMISSIONS[role] for role in roles if role is not None)

    def projects_with(self, permission: Permission) -> frozenset[ProjectId] | None:
        """Give the projects at and below which this actor has the permission; None for the whole organization."""
        if permission in ORGANIZATION_PERMISSIONS[self.organization_role]:
            return None
        granting = (item for item, role in self.project_roles.items() if permission in PROJECT_PERMISSIONS[role])
        return frozenset(granting)

    def may_somewhere(self, permission: Permission) -> bool:
        """Whether there is any place in the organization at which this actor has the permission."""
        return self.projects_with(permission) != frozenset()

    def role_at(self, scope: ScopePath) -> ProjectRole | None:
        """Give the strongest role of this actor at a place; an organization's Admin is one everywhere."""
        if scope.organization_id != self.organization_id:
            return None
        if self.organization_role is OrganizationRole.ADMIN:
            return ProjectRole.ADMIN
        held = {self.project_roles.get(project) for project in scope.project_ids}
        return next((role for role in ProjectRole if role in held), None)

    def require(self, permission: Permission, scope: ScopePath) -> None:
        """Raise `NotFound` for a foreign organization, `Forbidden` for a missing permission."""
        if scope.organization_id != self.organization_id:
            raise NotFound("there is no such thing in this organization")
        if not self.may(permission, scope):
            raise Denied(permission)

    def require_organization(self, organization_id: OrganizationId, permission: Permission) -> ScopePath:
        """Give the organization's scope after checking the permission on the whole of it."""
        scope = ScopePath(organization_id)
        self.require(permission, scope)
        return scope
