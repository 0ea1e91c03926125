"""The forms of templates, drawn from the API's class: which of its fields a kind has, and how commands are typed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from runpass.errors import InvalidInput
from runpass.protocol.wire import decode
from runpass.server.templates.model import ShellSource, Template, TemplateType
from runpass.server.templates.requests import TemplateBody
from runpass.server.templates.steps import unrunnable
from runpass.server.web.fields import Choice, FieldKind, FormField, errors_of, fields_of, values_of

MOST_BYTES: Final = 1_048_576
"""Of a form with commands."""
SEPARATOR: Final = "# next command"
"""The line between two commands in a text area; to a shell it would be a comment."""
_BETWEEN: Final = f"\n{SEPARATOR}\n"
_COMMANDS: Final = ("commands", "planCommands", "destroyCommands")
_CODE: Final = ("repository", "revision", "path")
_SHOWN: Final = frozenset({"name", "description", "type", *_COMMANDS, *_CODE})

_B = TypeVar("_B", bound=TemplateBody)


def kind_field(chosen: str, error: InvalidInput | None = None) -> FormField:
    """Give the picker of the kinds that the API knows."""
    (found,) = (one for one in fields_of(TemplateBody, {"type": chosen}, _wrong(error)) if one.name == "type")
    return replace(found, choices=_kinds(TemplateType))


def form_of(
    kind: TemplateType, given: Mapping[str, str], error: InvalidInput | None = None, *, may_become_another: bool = False
) -> list[FormField]:
    """Give the fields of a template of this kind. `may_become_another`: its kind can be changed to one like it."""
    is_shell = kind is TemplateType.SHELL
    names = ["name", "description", *(("type",) if may_become_another and not is_shell else ())]
    names += _COMMANDS if is_shell else _CODE
    given = {**dict.fromkeys(_COMMANDS, ""), **_without_password(given)}
    found = {one.name: one for one in fields_of(TemplateBody, given, _wrong(error))}
    required = "commands" if is_shell else "repository"
    return [_drawn(found[name], is_required=name == required or found[name].is_required) for name in names]


def body_of(
    model: type[_B], posted: Mapping[str, str], beside: Mapping[str, Any], kept: Mapping[str, Any] | None = None
) -> _B:
    """Give what a form sent as the API's request. Raises `InvalidInput` that names every bad field.

    `beside`: what the page knows; `kept`: fields of the API that no form shows.
    """
    given = {name: value for name, value in values_of(TemplateBody, posted).items() if name in _SHOWN}
    commands = {name: _parted(posted[name]) for name in _COMMANDS if posted.get(name)}
    return decode(model, json.dumps({**(kept or {}), **given, **commands, **beside}).encode())


def typed(template: Template) -> dict[str, str] | None:
    """Give a template as its form has it; None where a command holds the separator, and could not be told from two."""
    source = template.source
    found = {"name": template.name, "description": template.description, "type": template.type.value}
    if not isinstance(source, ShellSource):
        return found | {name: str(getattr(source, name)) for name in _CODE}
    lists = (source.commands, source.plan_commands, source.destroy_commands)
    if any(SEPARATOR in script.split("\n") for scripts in lists for script in scripts):
        return None
    return found | dict(zip(_COMMANDS, (_BETWEEN.join(scripts) for scripts in lists), strict=True))


def kept_of(template: Template) -> dict[str, Any]:
    """Give the fields of a template that no form shows: a change from a page leaves them as they are."""
    if isinstance(template.source, ShellSource):
        return {}
    source = template.source.model_dump(mode="json", by_alias=True)
    return {name: value for name, value in source.items() if name not in _SHOWN}


def _without_password(given: Mapping[str, str]) -> Mapping[str, str]:
    """SECURITY: a URL that may hold a password is refused, and does not come back into the page either."""
    repository = given.get("repository", "")
    holds = "@" in repository and "://" in repository and not repository.startswith("ssh://")
    return {**given, "repository": ""} if holds else given


def _drawn(one: FormField, *, is_required: bool) -> FormField:
    one = replace(one, is_required=is_required)
    if one.name == "type":
        return replace(one, choices=_kinds(item for item in TemplateType if item is not TemplateType.SHELL))
    if one.name in _COMMANDS:
        said = f"{one.help} A line {SEPARATOR} begins another command, in a shell of its own."
        return replace(one, kind=FieldKind.TEXT, help=said)
    return one


def _kinds(found: Any) -> tuple[Choice, ...]:
    return tuple(
        Choice(one.value, f"{one.value}{' (no runner runs it yet)' if unrunnable(one) else ''}") for one in found
    )


def _parted(text: str) -> Sequence[str]:
    return [script for script in text.split(_BETWEEN) if script.strip()]


def _wrong(error: InvalidInput | None) -> dict[str, str]:
    """Give what is wrong by field; of commands it says with which one."""
    found: dict[str, str] = {}
    for name, said in (errors_of(error) if error else {}).items():
        field, _, number = name.partition(".")
        found[field] = f"the command {int(number) + 1} {said}" if number.isdigit() else said
    return found
