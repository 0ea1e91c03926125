"""The forms of API keys and people: what they are called, and what they may do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from runpass.errors import InvalidInput
from runpass.ids import ProjectId
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.http.wire import ApiModel, Name
from runpass.server.people.person_forms import SignInName
from runpass.server.web.fields import Choice, FieldKind, FormField, errors_of, fields_of

_NO_PROJECT = Choice("", "no project")
_NO_ROLE = Choice("", "none")
_OF_ROLES = frozenset({"organizationRole", "projectId", "projectRole"})
AT_FIRST: Mapping[str, Any] = {"organizationRole": OrganizationRole.USER.value}
"""What the form of a new key or person says before anybody touches it."""


class Roles(ApiModel):
    """A role on the organization, and one on a project."""

    organization_role: Annotated[
        OrganizationRole,
        Field(title="Role in the organization", description="An Admin may do everything, a User only look around."),
    ]
    project_id: Annotated[
        UUID | None, Field(title="Project", description="A role on a project counts for all below it.")
    ] = None
    project_role: Annotated[ProjectRole | None, Field(title="Role on the project", description="From none to all.")] = (
        None
    )


class NewKey(Roles):
    """A new API key."""

    name: Annotated[Name, Field(title="Name", description="What it is for.", examples=["ci"])]


class NewPerson(Roles):
    """Somebody to invite."""

    sign_in_name: SignInName
    display_name: Annotated[Name, Field(title="Display name", description="What others see.", examples=["Ann Smith"])]


def fields_with_projects(
    model: type[BaseModel],
    projects: Mapping[ProjectId, str],
    given: Mapping[str, Any] | None = None,
    error: InvalidInput | None = None,
) -> list[FormField]:
    """Give the fields of a form, with the organization's projects to choose from."""
    # A rule names a project as the API's request has it, by a longer path.
    wrong = {name.rpartition(".")[2]: said for name, said in (errors_of(error) if error else {}).items()}
    choices = (_NO_PROJECT, *(Choice(str(item), name) for item, name in projects.items()))
    found = []
    for one in fields_of(model, given, wrong):
        if one.name == "projectId":
            found.append(replace(one, kind=FieldKind.CHOICE, choices=choices))
        elif one.name == "projectRole":
            found.append(replace(one, choices=(_NO_ROLE, *one.choices)))
        else:
            found.append(one)
    return sorted(found, key=lambda one: one.name in _OF_ROLES)


def roles_after(wanted: Roles, before: Mapping[ProjectId, ProjectRole]) -> dict[ProjectId, ProjectRole]:
    """Give the roles on projects with the one that a form changed. Raises `InvalidInput` for half of a change."""
    roles = dict(before)
    if wanted.project_id is None:
        if wanted.project_role is not None:
            raise InvalidInput.of("projectId", "must say where the role counts")
        return roles
    project = ProjectId(wanted.project_id)
    roles.pop(project, None)
    return roles if wanted.project_role is None else {**roles, project: wanted.project_role}
