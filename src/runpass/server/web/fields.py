"""The fields of a form, drawn from the class that its values become: no form says a second time what the class says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from runpass.errors import InvalidInput
from runpass.secret import Secret
from runpass.terminal_text import without_colours

_LONG: Final = 4_096
"""Characters beyond which a field is a text area."""
_LONGEST_NUMBER: Final = 18
"""Digits of a number."""


class FieldKind(StrEnum):
    """How a field is drawn."""

    LINE = "line"
    TEXT = "text"
    SECRET = "secret"  # noqa: S105 -- how a field is drawn
    SECRET_TEXT = "secret-text"  # noqa: S105 -- a whole file, whose lines a field of one line would lose
    NUMBER = "number"
    SWITCH = "switch"
    CHOICE = "choice"
    LIST = "list"
    """One text on each line."""

    @property
    def is_secret(self) -> bool:
        """Whether a page never shows its value."""
        return self in {FieldKind.SECRET, FieldKind.SECRET_TEXT}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of a field that has but a few."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class FormField:
    """A field as a page draws it."""

    name: str
    """As the API calls it."""
    label: str
    help: str
    example: str
    kind: FieldKind
    is_required: bool
    value: str | bool = ""
    choices: tuple[Choice, ...] = ()
    error: str = ""

    @property
    def id(self) -> str:
        """Give what its label and errors refer to."""
        return f"field-{self.name}"


def fields_of(
    model: type[BaseModel], values: Mapping[str, Any] | None = None, errors: Mapping[str, str] | None = None
) -> list[FormField]:
    """Give the fields of a class, in its order, with values by the API's names and what is wrong with them.

    SECURITY: a secret's value never comes back into a page, not even one that was refused.
    """
    given, wrong = values or {}, errors or {}
    return [_field(name, info, given, wrong) for name, info in model.model_fields.items()]


def values_of(model: type[BaseModel], posted: Mapping[str, str]) -> dict[str, Any]:
    """Give what a form sent as the API's request has it: an empty field is left out, a switch is true or false.

    A number that is none stays the text that it is, so that the class refuses it in its own words.
    """
    found: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        key, kind = info.alias or name, _kind(info)
        text = posted.get(key, "")
        if kind is FieldKind.SWITCH:
            found[key] = text == "true"
        elif kind is FieldKind.NUMBER and text.strip():
            found[key] = number_in(text)
        elif kind is FieldKind.CHOICE and text:
            found[key] = {str(item): item for item in _choices(info)}.get(text, text)
        elif kind is FieldKind.LIST:
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            found |= {key: lines} if lines else {}
        elif text:
            found[key] = text if kind is FieldKind.TEXT or kind.is_secret else text.strip()
    return found


def number_in(text: str) -> int | str:
    """Give the number that a text is, or else the text, so that whoever wants a number refuses it in its own words.

    SECURITY: Python refuses to read thousands of digits (`sys.set_int_max_str_digits`), with an error that is no
    mistake of a field. No form wants a number that long.
    """
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER else text


def as_it_was(posted: Mapping[str, str], before: Mapping[str, Any]) -> dict[str, str]:
    """Give what a form sent, with each text that nobody touched as it was before a page showed it.

    A page shows what it must not obey as escapes (`pages`); sent back, they would take the place of what it was.
    """
    texts = {name: text for name, text in before.items() if isinstance(text, str)}
    untouched = {name for name, text in texts.items() if posted.get(name) == without_colours(text)}
    return {name: texts[name] if name in untouched else text for name, text in posted.items()}


def errors_of(error: InvalidInput, prefix: str = "") -> dict[str, str]:
    """Give what is wrong by field; what belongs to no field of the form has the key of its own name."""
    return {item.field.removeprefix(prefix): item.message for item in error.errors}


def _field(name: str, info: FieldInfo, given: Mapping[str, Any], wrong: Mapping[str, str]) -> FormField:
    key, kind = info.alias or name, _kind(info)
    default = "" if info.is_required() or info.default is None else info.default
    value = given.get(key, default)
    if kind.is_secret or isinstance(value, Secret):
        value = ""
    return FormField(
        name=key,
        label=info.title or key,
        help=info.description or "",
        example=str((info.examples or [""])[0]),
        kind=kind,
        is_required=info.is_required(),
        value=value if kind is FieldKind.SWITCH else _text(value),
        choices=tuple(Choice(str(item), str(item)) for item in _choices(info)),
        error=wrong.get(key) or next((said for at, said in wrong.items() if at.startswith(f"{key}.")), ""),
    )


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return str(value if value is not None else "")


def _kind(info: FieldInfo) -> FieldKind:
    kinds = _types(info.annotation)
    if Secret in kinds:
        return FieldKind.SECRET_TEXT if _longest(info) > _LONG else FieldKind.SECRET
    if bool in kinds:
        return FieldKind.SWITCH
    if int in kinds:
        return FieldKind.NUMBER
    if _choices(info):
        return FieldKind.CHOICE
    if any(get_origin(item) in {list, tuple} for item in kinds):
        return FieldKind.LIST
    return (
        FieldKind.TEXT if "-----BEGIN" in str((info.examples or [""])[0]) or _longest(info) > _LONG else FieldKind.LINE
    )


def _types(annotation: Any) -> set[Any]:
    """Give the types that a field may hold, without what they are annotated with."""
    if get_origin(annotation) in {Union, UnionType}:
        return set().union(*(_types(item) for item in get_args(annotation)))
    return {_bare(annotation)}


def _bare(annotation: Any) -> Any:
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    return annotation


def _choices(info: FieldInfo) -> tuple[str | int, ...]:
    for item in _types(info.annotation):
        if get_origin(item) is Literal:
            return get_args(item)
        if isinstance(item, type) and issubclass(item, StrEnum):
            return tuple(each.value for each in item)
    return ()


def _longest(info: FieldInfo) -> int:
    """Give the most characters that a field may hold; 0 where nothing limits them. One that may be null has its own."""
    inner = [item for part in get_args(info.annotation) for item in getattr(part, "__metadata__", ())]
    limits = [
        limit
        for item in (*info.metadata, *inner)
        for limit in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]
    lengths: list[int | None] = [getattr(item, "max_length", getattr(item, "characters", None)) for item in limits]
    return max((length for length in lengths if length is not None), default=0)
