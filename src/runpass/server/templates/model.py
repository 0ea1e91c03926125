"""The records of this room."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runpass.ids import OrganizationId, ProjectId, TemplateId
from runpass.protocol.wire import Record


class TemplateType(StrEnum):
    """What kind of code a template runs."""

    SHELL = "shell"
    """Ours: commands, each in a shell of its own, in an empty workspace."""


class ShellSource(Record):
    """What a template of type `shell` runs."""

    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A template. A deleted one keeps answering with `is_deleted`, because environments still name it."""

    id: TemplateId
    organization_id: OrganizationId
    name: str
    description: str
    type: TemplateType
    source: ShellSource
    is_deleted: bool
    project_ids: tuple[ProjectId, ...]
    created_by: str
    created_at: datetime
    updated_at: datetime
