"""The bodies that describe a template, with env0's fields and ours in one flat object."""

from uuid import UUID

from runpass.errors import FieldError, InvalidInput
from runpass.protocol.wire import summary
from runpass.server.http.wire import ApiModel, LongText, Name
from runpass.server.templates.making import Draft
from runpass.server.templates.model import GitSource, Scripts, ShellSource, Source, TemplateType
from runpass.server.templates.repository import Repository


class TemplateBody(GitSource):
    """Request: a template. Type `shell` takes the commands, every other type the repository and its fields."""

    name: Name
    type: TemplateType
    description: LongText | None = None
    repository: Repository = ""
    commands: Scripts = ()
    plan_commands: Scripts = ()
    destroy_commands: Scripts = ()

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

    project_id: UUID
