"""The records of this room."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from runpass.ids import EnvironmentId, OrganizationId, ProjectId, TemplateId
from runpass.server.access.actors import ScopePath
from runpass.server.issuer.keys import SHARED, IssuerScope

MAX_AUDIENCE: Final = 255
"""Characters of one audience of an identity token."""
MAX_ALLOWED: Final = 100
"""Entries of an organization's limit on audiences."""


class IdentityIssuer(StrEnum):
    """Which issuer an organization's tokens are of."""

    SHARED = "shared"
    PREPARED = "prepared"
    """Tokens are of the shared one. The own one is published, so that Vaults can be told of it."""
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant. Organizations do not trust each other."""

    id: OrganizationId
    name: str
    description: str
    oidc_sub: str
    """The `sub` of every token of this organization; never changes."""
    enable_oidc: bool
    """Whether jobs get a token of their own even without an OIDC credential (env0's policy)."""
    allow_clear_text_vault: bool
    """Whether a credential may name an `http://` Vault on another machine."""
    policies: Mapping[str, Any]
    created_by: str
    created_at: datetime
    updated_at: datetime

    @property
    def identity_issuer(self) -> IdentityIssuer:
        """Give what the organization decided about its issuer."""
        return IdentityIssuer(self.policies.get("identity_issuer", IdentityIssuer.SHARED))

    @property
    def issuer(self) -> IssuerScope:
        """Give the issuer of every token that is minted for this organization now."""
        return self.id if self.identity_issuer is IdentityIssuer.OWN else SHARED


@dataclass(frozen=True, slots=True)
class Project:
    """A project; `path` are the ids from the root project down to this one."""

    id: ProjectId
    organization_id: OrganizationId
    parent_project_id: ProjectId | None
    name: str
    description: str
    tags: tuple[str, ...]
    is_archived: bool
    created_by: str
    created_at: datetime
    updated_at: datetime
    path: tuple[ProjectId, ...] = field(default=())
    policies: Mapping[str, Any] = field(default_factory=dict)
    deleted_at: datetime | None = None
    """A deleted project stays for what was once in it; nobody finds it any more."""

    @property
    def scope(self) -> ScopePath:
        """Give where this project stands, for a permission check."""
        return ScopePath(self.organization_id, self.path)

    @property
    def hierarchy(self) -> str:
        """Give the path as it is stored and sent: the ids joined by `|`."""
        return hierarchy_of(self.path)


def hierarchy_of(path: Iterable[ProjectId]) -> str:
    """Give a path as text: ids from the root down, joined by `|`."""
    return "|".join(str(item) for item in path)


def path_of(hierarchy: str) -> tuple[ProjectId, ...]:
    """Give the path that a hierarchy spells."""
    return tuple(ProjectId(UUID(item)) for item in hierarchy.split("|"))


class EnvironmentStatus(StrEnum):
    """env0's states of an environment."""

    CREATED = "CREATED"
    INACTIVE = "INACTIVE"
    ACTIVE = "ACTIVE"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    WAITING_FOR_USER = "WAITING_FOR_USER"
    DEPLOY_IN_PROGRESS = "DEPLOY_IN_PROGRESS"
    DESTROY_IN_PROGRESS = "DESTROY_IN_PROGRESS"
    TASK_IN_PROGRESS = "TASK_IN_PROGRESS"
    ABORTING = "ABORTING"
    ABORTED = "ABORTED"
    NEVER_DEPLOYED = "NEVER_DEPLOYED"


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment: what deployments deploy."""

    id: EnvironmentId
    organization_id: OrganizationId
    project_id: ProjectId
    template_id: TemplateId | None
    name: str
    workspace_name: str
    status: EnvironmentStatus
    is_archived: bool
    settings: Mapping[str, Any]
    """What its makers decided about it, by field name (`requires_approval`); only what was sent."""
    created_by: str
    created_at: datetime
    updated_at: datetime
    """When somebody last changed what is decided about it. What its deployments make of it does not count."""
    lifespan_end_at: datetime | None = None
    """When the server queues its destruction; None: never."""

    @property
    def requires_approval(self) -> bool:
        """Whether nothing of it changes before somebody has approved the plan."""
        return bool(self.settings.get("requires_approval", False))
