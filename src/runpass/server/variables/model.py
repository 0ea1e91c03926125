"""The records of this room."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from runpass.ids import OrganizationId, VariableId
from runpass.secret import Secret


class VariableScope(StrEnum):
    """Where a variable stands; later ones here override earlier ones."""

    GLOBAL = "GLOBAL"
    BLUEPRINT = "BLUEPRINT"
    PROJECT = "PROJECT"
    ENVIRONMENT = "ENVIRONMENT"


ENVIRONMENT_VARIABLE = 0
"""env0's `type` of an environment variable; 1 is a Terraform variable."""


@dataclass(frozen=True, slots=True)
class ConfigurationVariable:
    """A variable. Every value is carried as a `Secret`; `is_sensitive` decides whether it may be shown."""

    id: VariableId
    organization_id: OrganizationId
    scope: VariableScope
    scope_id: UUID
    name: str
    value: Secret
    is_sensitive: bool
    type: int
    extra: Mapping[str, Any]
    created_by: str
    created_at: datetime
    updated_at: datetime
