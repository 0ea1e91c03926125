"""The base of every body of the management API: env0's camelCase, unknown fields accepted, scalars strict."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StrictBool,
    StrictInt,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from runpass.protocol.wire import Bounded, to_camel


class ApiModel(Bounded):
    """A request or response body."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )


def _text(value: object) -> object:
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("must not contain a NUL character")
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell and no database can hold
            raise ValueError("is not valid Unicode") from None
    return value


def _line(value: object) -> object:
    if isinstance(value, str) and any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in value):  # noqa: PLR2004
        raise ValueError("must not contain control characters")
    return _text(value)


@dataclass(frozen=True, slots=True)
class _Spelled:
    """Says in the schema what a validator of ours refuses, with a better sentence than the schema's would be."""

    pattern: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}


_LINE = _Spelled(r"^[^\u0000-\u001f\u007f-\u009f]*$")
_TEXT = _Spelled(r"^[^\u0000]*$")


def _whole(value: object) -> object:
    """Take `2.0` for 2: JSON knows one kind of number, and JSON Schema calls this one an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Flag = StrictBool
Count = Annotated[StrictInt, BeforeValidator(_whole)]
Name = Annotated[str, BeforeValidator(_line), Field(min_length=1, max_length=255), _LINE]
ShortText = Annotated[str, BeforeValidator(_line), Field(max_length=1024), _LINE]
PoolName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
LongText = Annotated[str, BeforeValidator(_text), Field(max_length=65_536), _TEXT]


def rfc3339(moment: datetime) -> str:
    """Give a moment as clients of env0 expect it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
