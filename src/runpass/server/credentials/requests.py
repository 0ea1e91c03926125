"""What makes and changes a credential, as the API and the forms of the console send it. Fields are env0's."""

from typing import Any, get_args
from uuid import UUID

from pydantic import ConfigDict, ValidationInfo, field_validator, model_validator

from runpass.protocol.credentials import CLASSES, Credential, CredentialKind
from runpass.server.http.wire import ApiModel, Name


def _by_type(schema: dict[str, Any]) -> None:
    """Say in the published schema which type goes with which value."""
    refs = dict(zip(get_args(Credential), schema["properties"]["value"]["anyOf"], strict=True))
    schema["anyOf"] = [
        {
            "type": "object",
            "properties": {"type": {"enum": [kind.value for kind in CLASSES if CLASSES[kind] is each]}, "value": ref},
        }
        for each, ref in refs.items()
    ]


class _Typed(ApiModel):
    model_config = ConfigDict(json_schema_extra=_by_type)

    type: CredentialKind
    value: Credential

    @field_validator("value", mode="plain", json_schema_input_type=Credential)
    @classmethod
    def _of_its_type(cls, value: Any, info: ValidationInfo) -> Any:
        # What a value must be follows from the type beside it; its errors are named `value.<field>`.
        kind = info.data.get("type")
        return value if kind is None else CLASSES[kind].model_validate(value)


class CreateCredential(_Typed):
    """Request: a new credential, of the organization or of one project. `value` has the fields of its `type`."""

    name: Name
    organization_id: UUID | None = None
    project_id: UUID | None = None

    @model_validator(mode="after")
    def _one_scope(self) -> "CreateCredential":
        if (self.organization_id is None) == (self.project_id is None):
            raise ValueError("exactly one of organizationId and projectId is required")
        return self


class ChangeCredential(_Typed):
    """Request: the whole new value of a credential. Name and type stay; secrets that are left out are gone."""
