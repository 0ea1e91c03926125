"""The declarative file, checked: a `Declaration`, or every mistake with its line and its field. Pure."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from runpass.errors import FieldError, InvalidInput
from runpass.vault.declaration.lines import MAX_LINES, Path, broken_line, line_for, lines_of
from runpass.vault.declaration.model import Declaration
from runpass.vault.errors import visible

_AT: Final = re.compile(r" \(at line (\d+), column (\d+)\)\Z")
_OF_A_KIND: Final = frozenset({"str", "list", "[key]", "constrained-str"})
"""Parts of pydantic's paths that no file has."""
_WORDS: Final = {
    "extra_forbidden": "is not known",
    "missing": "is required",
    "literal_error": "must be one of those that the reference lists",
    "less_than_equal": "is longer than allowed",
    "greater_than": "must be more than zero",
    "string_type": "must be text",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "string_too_long": "is too long",
    "string_too_short": "must not be empty",
}


def parse(text: str, name: str) -> Declaration:
    """Give what the file declares; `name` is the file's, for the sentences.

    Raises `InvalidInput` that names line and field of every mistake, and no value.
    """
    if text.count("\n") > MAX_LINES:
        raise InvalidInput(f"{name}: has more than {MAX_LINES} lines")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(str(error), name, text) from None
    except RecursionError:
        raise InvalidInput(f"{name}: is nested too deeply") from None
    try:
        declared = Declaration.model_validate(content)
    except ValidationError as error:
        raise _refusal(name, text, _wrong(error)) from None
    wrong = _mistakes(declared, content)
    if wrong:
        raise _refusal(name, text, wrong)
    return declared


def _refusal(name: str, text: str, wrong: Mapping[Path, str]) -> InvalidInput:
    """Give the error for these fields, in the order of their lines."""
    lines = lines_of(text)
    placed = sorted((line_for(lines, path) or 0, path, said) for path, said in wrong.items())
    errors = tuple(FieldError(_dotted(path), said) for _, path, said in placed)
    sentences = [
        f"{name}: {f'line {line}: ' if line else ''}{_dotted(path)} {said}".replace("  ", " ")
        for line, path, said in placed
    ]
    return InvalidInput("; ".join(sentences), errors, hint="docs/reference/vault-file.md lists the fields")


def _wrong(error: ValidationError) -> dict[Path, str]:
    """Give what is wrong with each field; where one of two kinds was possible, what was nearest to being right."""
    found = sorted(error.errors(), key=lambda item: item["type"] in {"string_type", "list_type"})
    wrong: dict[Path, str] = {}
    for item in found:
        wrong.setdefault(_path(item["loc"]), _said(item))
    return wrong


def _mistakes(declared: Declaration, content: Mapping[str, Any]) -> dict[Path, str]:
    """Give what is wrong between fields."""
    wrong = {**_doubles(content), **_too_long(declared, content)}
    for key, policy in declared.policies.items():
        if policy.read_kv is not None and policy.read_kv not in declared.kv:
            wrong["policies", _written(content, "policies", key), "read_kv"] = "names no [kv] table of this file"
    if not declared.issuer.url.endswith("/"):
        wrong["issuer", "url"] = "must end with a slash, as the issuer's tokens say it"
    return wrong


def _doubles(content: Mapping[str, Any]) -> dict[Path, str]:
    """Give names that are one to the Vault: it keeps them in lower case, and paths without slashes at their ends."""
    wrong: dict[Path, str] = {}
    for table in ("kv", "policies", "roles"):
        seen = set()
        for key in content.get(table, {}):
            stored = key.strip("/") if table == "kv" else key.lower()
            if stored in seen:
                wrong[table, key] = "is the same as another one: the Vault does not tell them apart"
            seen.add(stored)
    return wrong


def _too_long(declared: Declaration, content: Mapping[str, Any]) -> dict[Path, str]:
    """Give lives of tokens that do not fit each other, or the run."""
    wrong: dict[Path, str] = {}
    for key, role in declared.roles.items():
        name, longest = _written(content, "roles", key), role.token_explicit_max_ttl
        if longest is not None and longest > declared.run_timeout:
            wrong["roles", name, "token_explicit_max_ttl"] = "must not be longer than run_timeout: the run is over then"
        elif role.token_ttl > (longest or declared.run_timeout):
            wrong["roles", name, "token_ttl"] = "must not be longer than the token lives at most"
    return wrong


def _written(content: Mapping[str, Any], table: str, key: str) -> str:
    """Give a name as the file has it."""
    return next((name for name in content.get(table, {}) if name.lower() == key), key)


def _said(item: Any) -> str:
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    return _WORDS.get(item["type"], "is not what belongs here")


def _path(loc: tuple[int | str, ...]) -> Path:
    return tuple(part for part in loc if part not in _OF_A_KIND and not str(part).startswith(("function-", "list[")))


def _dotted(path: Path) -> str:
    return visible(".".join(str(part) for part in path), 255) or "the file"


def _not_toml(said: str, name: str, text: str) -> InvalidInput:
    # SECURITY: tomllib's own sentence may quote a key; its place does not.
    place = _AT.search(said)
    where = f"line {place[1]}, column {place[2]}" if place else f"line {broken_line(text)}"
    return InvalidInput(f"{name}: is not TOML: {where}", (FieldError("the file", "is not TOML"),))
