"""`Record`: the base of every message, and the two functions that put one on the wire and take it off."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from annotated_types import MaxLen
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from runpass.errors import FieldError, InvalidInput, InvalidJson
from runpass.secret import REVEAL


def to_camel(name: str) -> str:
    """Give the wire name of a field: `role_name` → `roleName`, `k8s_namespace` → `k8sNamespace`."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


class Bounded(BaseModel):
    """The base of whatever comes from outside: a list beyond its `max_length` costs no more than one of just that."""

    @model_validator(mode="before")
    @classmethod
    def _cut(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        found = ((name, values.get(name), limit) for name, limit in _limits(cls))
        long = {name: value[: limit + 1] for name, value, limit in found if isinstance(value, list)}
        return {**values, **long} if long else values


def cut(limit: int) -> BeforeValidator:
    """Shorten a list to one item too many: enough to be refused, and the others are not looked at one by one."""
    return BeforeValidator(lambda value: value[: limit + 1] if isinstance(value, list) else value)


@cache
def _limits(kind: type[BaseModel]) -> tuple[tuple[str, int], ...]:
    found = []
    for name, field in kind.model_fields.items():
        limit = _limit(field.annotation, *field.metadata)
        if limit is not None:
            found += [(name, limit), (field.alias or name, limit)]
    return tuple(found)


def _limit(annotation: Any, *metadata: Any) -> int | None:
    """Give the `max_length` of a field, also of one that may be null."""
    for item in metadata:
        if isinstance(item, MaxLen):
            return item.max_length
        if isinstance(item, FieldInfo):
            return _limit(None, *item.metadata)
    if get_origin(annotation) in {Annotated, Union, UnionType}:
        parts = (_limit(part, *getattr(part, "__metadata__", ())) for part in get_args(annotation))
        return next((limit for limit in parts if limit is not None), None)
    return None


class Record(Bounded):
    """A frozen message. Fields are snake_case here and camelCase in JSON; unknown fields are ignored."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


R = TypeVar("R", bound=BaseModel)
NOT_JSON = "the body is not valid JSON"
MOST_ERRORS = 20
"""Errors that one answer names; of the others it says how many there are."""


def _storable(value: str) -> str:
    return value.replace("\x00", "\ufffd")  # PostgreSQL keeps no NUL


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


Storable = AfterValidator(_storable)
"""For text that comes from a run: whatever it holds, it can be kept."""
Text = Annotated[str, Field(max_length=4096), Storable]
Name = Annotated[str, Field(min_length=1, max_length=255), Storable]
FencingToken = Annotated[int, Field(ge=0, le=2_147_483_647)]
"""What the database's whole numbers hold."""
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


def encode(record: BaseModel) -> bytes:
    """Give the JSON of a record **with its secrets revealed**: for the connection between the two programs only."""
    return record.model_dump_json(by_alias=True, exclude_none=True, context={REVEAL: True}).encode()


def decode(kind: type[R], body: bytes) -> R:
    """Parse JSON into a record of this kind.

    Raises `InvalidInput` that names every bad field and repeats no value; `InvalidJson` for a body that is none.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        if any(detail["type"] == "json_invalid" for detail in error.errors(include_input=False, include_url=False)):
            raise InvalidJson(NOT_JSON) from None
        raise invalid_input(error) from None


def invalid_input(error: ValidationError, *, prefix: str = "") -> InvalidInput:
    """Turn Pydantic's errors into ours: all fields at once up to `MOST_ERRORS`, no `input`, no `ctx`."""
    details = error.errors(include_url=False, include_context=True, include_input=False)
    found = tuple(FieldError(_where(detail, prefix), sentence(detail)) for detail in details[:MOST_ERRORS])
    return InvalidInput(summary(found, len(details)), found)


def summary(found: Sequence[FieldError], total: int) -> str:
    """Say what is wrong with the first fields, and how many more there are."""
    said = "; ".join(f"{item.field}: {item.message}" for item in found[:MOST_ERRORS])
    return said if total <= MOST_ERRORS else f"{said}; and {total - MOST_ERRORS} more"


def _where(detail: ErrorDetails, prefix: str) -> str:
    return prefix + (".".join(str(part) for part in detail["loc"]) or "body")


_SENTENCES = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_long": "has more than {max_length} items",
    "too_short": "has fewer than {min_length} items",
    "json_invalid": "is not valid JSON",
    "string_unicode": "is not valid Unicode",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "datetime_type": "must be a date and time",
    "datetime_parsing": "must be a date and time (RFC 3339)",
    "datetime_from_date_parsing": "must be a date and time (RFC 3339)",
    "timezone_aware": "must be a date and time with its zone (RFC 3339)",
}


def sentence(detail: ErrorDetails) -> str:
    """Say what is wrong with one field without repeating its value."""
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "value_error":
        return str(context.get("error", "is not valid"))
    if kind in {"enum", "literal_error"}:
        return f"must be one of {context['expected']}"
    if context.get("field_type") == "Value":  # how Pydantic measures a text that a validator of ours has seen before
        kind = {"too_short": "string_too_short", "too_long": "string_too_long"}.get(kind, kind)
    template = _SENTENCES.get(kind)
    return template.format(**context) if template else "is not valid"
