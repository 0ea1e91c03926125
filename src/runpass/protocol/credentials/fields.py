"""Types of fields that several kinds of credentials have."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from runpass.protocol.wire import Record
from runpass.secret import Secret

MAX_FILE: Final = 65_536
"""Bytes of a field that holds a whole file."""
MAX_LINE: Final = 4_096
"""Characters of a secret of one line."""

TokenFormat = Literal["v1", "v2", "credential"]
"""`v1`: the issuer's shared audience; `v2`: one audience for each provider; `credential`: one for each credential."""


@dataclass(frozen=True, slots=True)
class Longest:
    """Says in the schema how many characters a validator of ours takes at most; it refuses more in its own words."""

    characters: int

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "maxLength": self.characters}


def without_nulls(kind: type[Record], value: Any) -> Any:
    """Give what was sent without the nulls of the fields that may be left out."""
    if not isinstance(value, dict):
        return value
    fields = kind.model_fields.items()
    optional = {key for name, field in fields if not field.is_required() for key in (name, field.alias)}
    return {key: item for key, item in value.items() if item is not None or key not in optional}


class Value(Record):
    """The base of every kind's `value`. A null where a field may be left out means that it was left out."""

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, value: Any) -> Any:
        return without_nulls(cls, value)


def audience(token_format: TokenFormat, provider: str, *, shared: str, credential_id: UUID) -> str:
    """Give the `aud` of the login token of a credential; `shared` is the issuer's."""
    match token_format:
        case "v1":
            return shared
        case "v2":
            return f"api://env0-{provider}"
        case "credential":
            return f"urn:runpass:credential:{credential_id}"


def _line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not contain control characters")
    if value != value.strip():
        raise ValueError("must not begin or end with a space")
    return value


def _file(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    if len(value.encode()) > MAX_FILE:
        raise ValueError("is longer than 64 KiB")
    return value


def _text(value: object) -> object:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 -- what Pydantic takes as an error of the field
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    return value


def _secret_line(value: Secret) -> Secret:
    text = value.reveal()
    if not text:
        raise ValueError("must not be empty")
    if len(text) > MAX_LINE:
        raise ValueError(f"is longer than {MAX_LINE} characters")
    _line(text)
    return value


def _secret_file(value: Secret) -> Secret:
    if not value.reveal().strip():
        raise ValueError("must not be empty")
    _file(value.reveal())
    return value


Line = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_line)]
"""One line of text whose form only the provider knows."""
SecretText = Annotated[Secret, BeforeValidator(_text)]
"""A secret whose errors are the field's own: Pydantic would name each way in which a `Secret` can be made."""
SecretLine = Annotated[SecretText, AfterValidator(_secret_line), Longest(MAX_LINE)]
SecretFile = Annotated[SecretText, AfterValidator(_secret_file), Longest(MAX_FILE)]
"""A file of at most 64 KiB that is, or may hold, a secret."""
