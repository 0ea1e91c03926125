"""Request bodies of projects. The console draws its forms from them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from runpass.server.http.wire import ApiModel, Flag, LongText, Name

Tags = Annotated[tuple[Name, ...] | None, Field(max_length=100)]
_Name = Annotated[Name, Field(title="Name", description="What people call it.", examples=["payments"])]
_Description = Annotated[LongText | None, Field(title="Description", description="What stands in it, and who asks.")]
_BELOW = "The id of the project to stand below; empty for the top of the tree."


class CreateProject(ApiModel):
    """Request: a new project."""

    name: _Name
    organization_id: UUID
    description: _Description = None
    tags: Tags = None
    parent_project_id: Annotated[UUID | None, Field(title="Below the project", description=_BELOW)] = None


class ChangeProject(ApiModel):
    """Request: the whole new description of a project; `isArchived` may be left out and then stays as it is."""

    name: _Name
    description: _Description = None
    tags: Tags = None
    is_archived: Annotated[
        Flag | None, Field(title="Archived", description="Nothing new is made or deployed in it, or below it.")
    ] = None


class MoveProject(ApiModel):
    """Request: where a project is to stand; null for the root."""

    target_project_id: Annotated[UUID | None, Field(title="Below the project", description=_BELOW)]
