"""The bodies that describe a template, with env0's fields and ours in one flat object."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from runpass.errors import FieldError, InvalidInput
from runpass.protocol.wire import summary
from runpass.server.http.wire import ApiModel, LongText, Name
from runpass.server.templates.making import Draft
from runpass.server.templates.model import GitSource, Scripts, ShellSource, Source, TemplateType
from runpass.server.templates.repository import CodePath, Repository, Revision


class TemplateBody(GitSource):
    """Request: a template. Type `shell` takes the commands, every other type the repository and its fields."""

    name: Annotated[Name, Field(title="Name", description="What people call it.", examples=["network"])]
    type: Annotated[TemplateType, Field(title="Kind", description="What kind of code it runs.")]
    description: Annotated[LongText | None, Field(title="Description", description="What it makes, and who asks.")] = (
        None
    )
    repository: Annotated[
        Repository,
        Field(
            title="Repository",
            description="A URL without user and password, or user@host:path. Runners clone it; the server never does.",
            examples=["https://git.example.com/network.git"],
        ),
    ] = ""
    revision: Annotated[
        Revision,
        Field(
            title="Revision",
            description="A branch, a tag or a commit; empty for the repository's default branch.",
            examples=["main"],
        ),
    ] = ""
    path: Annotated[
        CodePath,
        Field(title="Folder", description="Of the code, in the repository; empty for its top.", examples=["live/eu"]),
    ] = ""
    commands: Annotated[Scripts, Field(title="Commands", description="What a deploy runs; at least one.")] = ()
    plan_commands: Annotated[
        Scripts, Field(title="Commands of the plan", description="What runs before the approval. It changes nothing.")
    ] = ()
    destroy_commands: Annotated[
        Scripts, Field(title="Commands of a destroy", description="What takes away what the deploy made.")
    ] = ()

    def draft(self, *, prefix: str = "") -> Draft:
        """Give the rule's view. Raises `InvalidInput` with every field that does not go with the type."""
        errors = [FieldError(prefix + field, message) for field, message in self._misfits()]
        if errors:
            raise InvalidInput(summary(errors, len(errors)), tuple(errors))
        return Draft(self.name, self.description or "", self.type, self._source())

    def _source(self) -> Source:
        if self.type is TemplateType.SHELL:
            return ShellSource(
                commands=self.commands, plan_commands=self.plan_commands, destroy_commands=self.destroy_commands
            )
        return GitSource.model_validate(self.model_dump(include=set(GitSource.model_fields)))

    def _misfits(self) -> list[tuple[str, str]]:
        found = []
        if self.type is TemplateType.SHELL:
            if not self.commands:
                found.append(("commands", "is required for a template of type shell"))
            if self.repository:
                found.append(("repository", "a template of type shell has no repository: its commands are its code"))
            return found
        if not self.repository:
            found.append(("repository", "is required for a template of this type"))
        of_shell = {
            "commands": self.commands,
            "planCommands": self.plan_commands,
            "destroyCommands": self.destroy_commands,
        }
        return found + [
            (name, "only a template of type shell has commands") for name, given in of_shell.items() if given
        ]


class CreateTemplate(TemplateBody):
    """Request: a new template."""

    organization_id: UUID


class AttachProject(ApiModel):
    """Request: the project that may run a template."""

    project_id: Annotated[UUID, Field(title="Project", description="It, and all below it, may run the template.")]
