"""The form of a variable, drawn from the API's own classes. SECURITY: it never holds a sensitive value.

The API's `schema` stands among the other fields: `enum` as one choice in each line, `format` as one of few.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from runpass.errors import InvalidInput
from runpass.protocol.wire import decode
from runpass.server.variables.model import (
    ENVIRONMENT_VARIABLE,
    TERRAFORM_VARIABLE,
    Place,
    ValueSchema,
    VariableRecord,
)
from runpass.server.variables.requests import VariableFields
from runpass.server.variables.saving import REDACTED, Wanted
from runpass.server.web.fields import Choice, FieldKind, FormField, errors_of, fields_of, number_in, values_of

MOST_BYTES: Final = 1_048_576
_ORDER: Final = (
    *("name", "type", "value", "isSensitive", "isRequired", "isReadonly"),
    *("description", "enum", "regex", "format"),
)
_OF_SCHEMA: Final = frozenset({"enum", "format"})
_TYPES: Final = (
    Choice(str(ENVIRONMENT_VARIABLE), "an environment variable"),
    Choice(str(TERRAFORM_VARIABLE), "a Terraform variable"),
)
_KEPT: Final = "It is sensitive and not shown: leave this empty to keep it."
_LOST: Final = "must be typed again: a sensitive value is not shown, so it cannot stop being sensitive by itself"

Given = Mapping[str, Any]
"""The fields of the form by their names: texts, and True or False for switches."""


def typed(variable: VariableRecord) -> dict[str, Any]:
    """Give a variable as its form has it, without a sensitive value."""
    details = variable.details
    return {
        "name": variable.name,
        "type": str(variable.type),
        "value": variable.clear_value or "",
        "isSensitive": variable.is_sensitive,
        "isRequired": details.is_required,
        "isReadonly": details.is_readonly,
        "description": details.description,
        "regex": details.regex,
        "enum": "\n".join(details.value_schema.enum or ()),
        "format": details.value_schema.format or "",
    }


def sent_again(posted: Mapping[str, str]) -> dict[str, Any]:
    """Give what a form sent, to draw it again. SECURITY: a value that was to be sensitive does not come back."""
    is_on = {name: posted.get(name) == "true" for name in ("isSensitive", "isRequired", "isReadonly")}
    value = "" if is_on["isSensitive"] else posted.get("value", "")
    return {**posted, **is_on, "value": value}


def form_of(given: Given, stored: VariableRecord | None = None, error: InvalidInput | None = None) -> list[FormField]:
    """Give the fields of the form; `stored`: the variable that it changes."""
    wrong = _wrong(error)
    found = {one.name: one for one in fields_of(VariableFields, given, wrong)}
    found |= {one.name: one for one in fields_of(ValueSchema, given, wrong) if one.name in _OF_SCHEMA}
    names = [name for name in _ORDER if name != "enum" or _fits_lines(stored)]
    choices = _lines(str(given.get("enum", ""))) if _fits_lines(stored) else list(_enum(stored))
    return [_drawn(found[name], choices, stored) for name in names]


def wanted_of(
    posted: Mapping[str, str], place: Place, stored: VariableRecord | None = None, if_match: str | None = None
) -> Wanted:
    """Give what a form sent as the rules want it. Raises `InvalidInput` that names every bad field."""
    given = {name: item for name, item in values_of(VariableFields, posted).items() if name in _ORDER}
    given["value"] = _value(posted, stored)
    given["regex"] = posted.get("regex", "")  # a space at its end means something
    given["type"] = number_in(posted["type"]) if posted.get("type") else None
    given["schema"] = _schema(posted, stored)
    if stored is not None:
        given["id"] = str(stored.id)
    scope, scope_id = place
    return decode(VariableFields, json.dumps(given).encode()).wanted(scope, scope_id, if_match=if_match)


def _value(posted: Mapping[str, str], stored: VariableRecord | None) -> str:
    value = posted.get("value", "")
    if value or stored is None or not stored.is_sensitive:
        return value
    if posted.get("isSensitive") != "true":
        raise InvalidInput.of("value", _LOST)
    return REDACTED


def _schema(posted: Mapping[str, str], stored: VariableRecord | None) -> dict[str, Any]:
    """Give the API's `schema`: what no form shows of it stays as it is stored."""
    before = stored.details.value_schema if stored else ValueSchema()
    lines = _lines(posted.get("enum", "")) if _fits_lines(stored) else list(_enum(stored))
    # Where nothing was changed there is no difference between no list and an empty one.
    enum = before.enum if lines == list(before.enum or ()) else lines or None
    return {"type": before.type, "enum": enum, "format": posted.get("format") or None}


def _drawn(one: FormField, choices: list[str], stored: VariableRecord | None) -> FormField:
    if one.name == "type":
        return replace(one, choices=_TYPES, is_required=True)
    if one.name == "format":
        return replace(one, choices=(Choice("", "text"), *one.choices))
    if one.name == "enum":
        return replace(one, kind=FieldKind.TEXT, help=f"{one.help} One in each line.")
    return _value_field(one, choices, stored) if one.name == "value" else one


def _value_field(one: FormField, choices: list[str], stored: VariableRecord | None) -> FormField:
    is_hidden = stored is not None and stored.is_sensitive
    one = replace(one, help=f"{one.help} {_KEPT}") if is_hidden else one
    if not choices:
        return one
    nothing = Choice("", "the one that is stored" if is_hidden else "none")
    return replace(one, kind=FieldKind.CHOICE, choices=(nothing, *(Choice(item, item) for item in choices)))


def _fits_lines(stored: VariableRecord | None) -> bool:
    """Whether the choices of a variable can be told from each other when each is a line."""
    return all(item and "\n" not in item for item in _enum(stored))


def _enum(stored: VariableRecord | None) -> tuple[str, ...]:
    return (stored.details.value_schema.enum or ()) if stored else ()


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def _wrong(error: InvalidInput | None) -> dict[str, str]:
    """Give what is wrong by field; of choices it says with which one."""
    found: dict[str, str] = {}
    for name, said in (errors_of(error) if error else {}).items():
        field, _, number = name.removeprefix("schema.").partition(".")
        found[field] = f"the choice {int(number) + 1} {said}" if number.isdigit() else said
    return found
