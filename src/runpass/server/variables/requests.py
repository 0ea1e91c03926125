"""The bodies that describe variables, with env0's names."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from runpass.ids import EnvironmentId, OrganizationId, VariableId
from runpass.secret import Secret
from runpass.server.http.patterns import Pattern
from runpass.server.http.wire import ApiModel, Flag, LongText, Name
from runpass.server.variables.model import ENVIRONMENT_VARIABLE, Details, ValueSchema, VariableScope
from runpass.server.variables.saving import Change, Wanted


class VariableFields(ApiModel):
    """What every description of a variable has."""

    id: UUID | None = None
    name: Annotated[
        Name, Field(title="Name", description="Letters, digits and underscores.", examples=["DATABASE_URL"])
    ]
    value: Annotated[
        LongText | None, Field(title="Value", description="Text; it may hold references to secrets and outputs.")
    ] = None
    type: Annotated[
        Literal[0, 1] | None,
        Field(title="Handed over as", description="Commands find a Terraform variable as TF_VAR_<name>."),
    ] = None
    is_sensitive: Annotated[
        Flag | None, Field(title="Sensitive", description="Encrypted, masked in logs, and never shown again.")
    ] = None
    is_readonly: Annotated[
        Flag | None, Field(title="Read-only", description="No place below may have its own value for it.")
    ] = None
    is_required: Annotated[
        Flag | None, Field(title="Required", description="Nothing is deployed while the value that counts is empty.")
    ] = None
    description: Annotated[LongText | None, Field(title="Description", description="What it is for.")] = None
    regex: Annotated[
        Pattern | None,
        Field(
            title="Pattern", description="RE2; the whole value must match. Empty for any.", examples=["[a-z]+-[0-9]"]
        ),
    ] = None
    value_schema: Annotated[ValueSchema | None, Field(alias="schema")] = None

    def wanted(self, scope: VariableScope, scope_id: UUID, *, where: str = "", if_match: str | None = None) -> Wanted:
        """Give the rule's view, at this place."""
        return Wanted(
            scope=scope,
            scope_id=scope_id,
            name=self.name,
            value=Secret(self.value or ""),
            is_sensitive=self.is_sensitive or False,
            type=ENVIRONMENT_VARIABLE if self.type is None else self.type,
            details=Details(
                description=self.description or "",
                is_readonly=self.is_readonly or False,
                is_required=self.is_required or False,
                regex=self.regex or "",
                value_schema=self.value_schema or ValueSchema(),
            ),
            id=None if self.id is None else VariableId(self.id),
            if_match=if_match,
            where=where,
        )


class VariableBody(VariableFields):
    """Request: one variable; with `id` a change of that one. Without `scopeId` only `GLOBAL` makes sense."""

    scope: VariableScope
    scope_id: UUID | None = None
    organization_id: UUID

    @model_validator(mode="after")
    def _has_a_place(self) -> "VariableBody":
        if self.scope is not VariableScope.GLOBAL and self.scope_id is None:
            raise ValueError("scopeId is required for this scope")
        return self

    def place_id(self) -> UUID:
        """Give what the variable stands at: for `GLOBAL` the organization, whatever `scopeId` says."""
        if self.scope is VariableScope.GLOBAL or self.scope_id is None:
            return OrganizationId(self.organization_id)
        return self.scope_id


class VariableChange(VariableFields):
    """One of `configurationChanges`: a variable of the environment itself, which env0's clients call `DEPLOYMENT`."""

    scope: Literal["DEPLOYMENT", "ENVIRONMENT"] | None = None
    to_delete: Flag | None = None

    def change(self, environment_id: EnvironmentId, *, where: str = "") -> Change:
        """Give the rule's view, for this environment."""
        wanted = self.wanted(VariableScope.ENVIRONMENT, environment_id, where=where)
        return Change(wanted, to_delete=self.to_delete or False)


Changes = Annotated[tuple[VariableChange, ...], Field(max_length=200)]
