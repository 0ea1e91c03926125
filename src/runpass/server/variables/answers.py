"""What is told of a variable. SECURITY: made from records that hold no sensitive value."""

from uuid import UUID

from pydantic import Field

from runpass.server.http.wire import ApiModel, Moment
from runpass.server.variables.model import VariableRecord, VariableScope
from runpass.server.variables.saving import REDACTED


class SchemaAnswer(ApiModel):
    """What a value is; `string` when nothing was said."""

    type: str = "string"
    enum: list[str] | None = None
    format: str | None = None


class OverwritesAnswer(ApiModel):
    """What a listed variable overrides; redacted if that is sensitive."""

    value: str
    scope: VariableScope
    scope_id: UUID | None = None
    is_sensitive: bool
    is_required: bool
    regex: str


class VariableAnswer(ApiModel):
    """Response: a variable; the value of a sensitive one is redacted."""

    id: UUID
    name: str
    value: str
    scope: VariableScope
    scope_id: UUID | None = None
    organization_id: UUID
    user_id: str
    type: int
    is_sensitive: bool
    is_readonly: bool
    is_required: bool
    description: str
    regex: str
    value_schema: SchemaAnswer = Field(alias="schema")
    overwrites: OverwritesAnswer | None = None
    created_at: Moment
    updated_at: Moment


def variable_answer(variable: VariableRecord, overwrites: VariableRecord | None = None) -> VariableAnswer:
    """Give the answer for a variable; in a list with the one that it overrides."""
    details = variable.details
    schema = details.value_schema
    return VariableAnswer(
        id=variable.id,
        name=variable.name,
        value=_shown(variable),
        scope=variable.scope,
        scope_id=_scope_id(variable),
        organization_id=variable.organization_id,
        user_id=variable.created_by,
        type=variable.type,
        is_sensitive=variable.is_sensitive,
        is_readonly=details.is_readonly,
        is_required=details.is_required,
        description=details.description,
        regex=details.regex,
        value_schema=SchemaAnswer(
            type=schema.type or "string",
            enum=None if schema.enum is None else list(schema.enum),
            format=schema.format,
        ),
        overwrites=None if overwrites is None else _overwrites(overwrites),
        created_at=variable.created_at,
        updated_at=variable.updated_at,
    )


def _overwrites(variable: VariableRecord) -> OverwritesAnswer:
    return OverwritesAnswer(
        value=_shown(variable),
        scope=variable.scope,
        scope_id=_scope_id(variable),
        is_sensitive=variable.is_sensitive,
        is_required=variable.details.is_required,
        regex=variable.details.regex,
    )


def _shown(variable: VariableRecord) -> str:
    return REDACTED if variable.clear_value is None else variable.clear_value


def _scope_id(variable: VariableRecord) -> UUID | None:
    return None if variable.scope is VariableScope.GLOBAL else variable.scope_id
