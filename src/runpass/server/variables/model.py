"""The records of this room."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from runpass.ids import OrganizationId, VariableId
from runpass.protocol.wire import Record
from runpass.secret import Secret
from runpass.server.http.patterns import Pattern
from runpass.server.http.wire import LongText, ShortText


class VariableScope(StrEnum):
    """Where a variable stands; later ones here override earlier ones."""

    GLOBAL = "GLOBAL"
    BLUEPRINT = "BLUEPRINT"
    PROJECT = "PROJECT"
    ENVIRONMENT = "ENVIRONMENT"


Place = tuple[VariableScope, UUID]
"""A scope and what stands there: for `GLOBAL` the organization itself."""

ENVIRONMENT_VARIABLE = 0
TERRAFORM_VARIABLE = 1
"""env0's numbers for `type`."""


class ValueFormat(StrEnum):
    """How a value is written. Only `ENVIRONMENT_OUTPUT` changes what is done with it."""

    HCL = "HCL"
    JSON = "JSON"
    ENVIRONMENT_OUTPUT = "ENVIRONMENT_OUTPUT"
    """`${env0:<environment id>:<output>}`, replaced before a run."""


class ValueSchema(Record):
    """What a value is. Of these, `enum` restricts it: if it is not empty, the value is one of its items."""

    type: ShortText | None = None
    enum: Annotated[
        Annotated[tuple[LongText, ...], Field(max_length=200)] | None,
        Field(title="Choices", description="The values that it may have. Empty for any."),
    ] = None
    format: Annotated[
        ValueFormat | None,
        Field(title="Format", description="How the value is written; ENVIRONMENT_OUTPUT may have text around it."),
    ] = None


class Details(Record):
    """What a variable is besides its value: what may be put in, and whether a lower place may override it."""

    description: LongText = ""
    is_readonly: bool = False
    is_required: bool = False
    regex: Pattern = ""
    value_schema: ValueSchema = ValueSchema()


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableRecord:
    """A variable as it may be shown. `clear_value` is None for a sensitive one, whose value stays sealed."""

    id: VariableId
    organization_id: OrganizationId
    scope: VariableScope
    scope_id: UUID
    name: str
    type: int
    clear_value: str | None
    details: Details
    created_by: str
    created_at: datetime
    updated_at: datetime

    @property
    def place(self) -> Place:
        """Give where it stands."""
        return self.scope, self.scope_id

    @property
    def is_sensitive(self) -> bool:
        """Whether its value is kept sealed and never shown."""
        return self.clear_value is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationVariable(VariableRecord):
    """A variable with its value, sensitive or not."""

    value: Secret
