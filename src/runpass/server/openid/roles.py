"""What a provider's groups mean here: a TOML file of the operator's, read once.

[[roles]]
group = "platform"
organization = "0198…"
role = "Admin"

[[roles]]
group = "web developers"
organization = "0198…"
role = "User"
projects = { "0198…" = "Deployer" }
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from runpass.errors import ConfigurationError
from runpass.ids import OrganizationId, ProjectId
from runpass.server.access.permissions import OrganizationRole, ProjectRole

_STRONGEST: Final = {role: place for place, role in enumerate(ProjectRole)}


@dataclass(frozen=True, slots=True)
class Granted:
    """What somebody's groups give, in one organization."""

    organization_id: OrganizationId
    organization_role: OrganizationRole
    project_roles: Mapping[ProjectId, ProjectRole]


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    group: str = Field(min_length=1, max_length=255)
    organization: UUID
    role: OrganizationRole
    projects: Annotated[Mapping[UUID, ProjectRole], BeforeValidator(dict)] = Field(default_factory=dict)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    roles: tuple[_Rule, ...] = Field(min_length=1, max_length=1000)


class GroupRoles:
    """Gives roles for groups."""

    def __init__(self, rules: tuple[_Rule, ...]) -> None:
        self._rules = rules

    def granted(self, groups: Collection[str]) -> Granted | None:
        """Give what these groups mean; None for nothing.

        A person belongs to one organization: the one that stands first in the file counts. Of several roles there the
        strongest does. Groups are compared character by character.
        """
        mine = [rule for rule in self._rules if rule.group in groups]
        if not mine:
            return None
        there = [rule for rule in mine if rule.organization == mine[0].organization]
        is_admin = any(rule.role is OrganizationRole.ADMIN for rule in there)
        on: dict[ProjectId, ProjectRole] = {}
        for project, role in (item for rule in there for item in rule.projects.items()):
            held = on.get(ProjectId(project))
            on[ProjectId(project)] = role if held is None else min(role, held, key=_STRONGEST.__getitem__)
        most = OrganizationRole.ADMIN if is_admin else OrganizationRole.USER
        return Granted(OrganizationId(mine[0].organization), most, on)


def read_roles(file: Path) -> GroupRoles:
    """Read the file. Raises `ConfigurationError` that says what is wrong with it."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"openid_roles_file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"openid_roles_file {file} is not UTF-8") from error
    try:
        return GroupRoles(_File.model_validate(tomllib.loads(text)).roles)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"openid_roles_file {file} is not TOML: {error}") from error
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        said = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in wrong[:10])
        raise ConfigurationError(f"openid_roles_file {file}: {said}") from error
