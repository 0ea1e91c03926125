"""The reference of the management API, written from its OpenAPI document: every route, then every object."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

Json = dict[str, Any]
Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]
_PLACES: Final = ("path", "query", "header")
_INTRO: Final = (
    "Every route, by subject, and every object in bodies and answers. How to call them, what all of them have in common"
    " and how they are limited is in [Calling the API](calling-the-api.md) and [Limits](limits.md); who may call them"
    " in [Permissions](permissions.md)."
)


def api_reference(document: Json, head: Callable[[str, str], str], table: Table) -> list[str]:
    """Give the parts of the page: the same for the same document."""
    parts = [head("API", _INTRO)]
    for tag in sorted({tag for _, operation in _operations(document) for tag in operation["tags"]}):
        parts.append(f"## {tag}")
        for name, operation in _operations(document):
            if tag in operation["tags"]:
                parts += _operation(name, operation, table)
    parts.append("## Objects")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts += _object(name, schema, table)
    return parts


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in sorted(document["paths"].items()):
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def _operation(name: str, operation: Json, table: Table) -> Iterator[str]:
    yield f"### `{name}`"
    yield _line(operation["description"])
    parameters = sorted(operation.get("parameters", ()), key=lambda item: _PLACES.index(item["in"]))
    rows = [
        (f"`{item['name']}`", item["in"], _kind(item["schema"]), _need(item.get("required", False)), _meaning(item))
        for item in parameters
    ]
    if rows:
        yield table(("Parameter", "In", "Type", "", "Meaning"), rows)
    if "requestBody" in operation:
        yield f"Body: {_content(operation['requestBody'])}."
    yield f"Answers: {_answers(operation)}."


def _answers(operation: Json) -> str:
    good, refusals = [], []
    for status, answer in sorted(operation["responses"].items()):
        if status < "400":
            good.append(f"{status} {_content(answer)}")
        else:
            refusals.append(status)
    return f"{', '.join(good)}; refusals: {', '.join(refusals)}"


def _content(body: Json) -> str:
    found = [
        ("" if kind == "application/json" else f"{kind}, ") + _kind(content["schema"])
        for kind, content in body.get("content", {}).items()
    ]
    return " or ".join(found) or "without a body"


def _object(name: str, schema: Json, table: Table) -> Iterator[str]:
    yield f"### {name}"
    if "description" in schema:
        yield _line(schema["description"])
    if "properties" not in schema:
        yield f"Is {_kind(schema)}."
        return
    required = set(schema.get("required", ()))
    rows = [
        (f"`{field}`", _kind(inner), _need(field in required, inner), _meaning(inner))
        for field, inner in schema["properties"].items()
    ]
    if rows:
        yield table(("Field", "Type", "", "Meaning"), rows)


def _need(required: bool, schema: Json | None = None) -> str:  # noqa: FBT001 -- a column of the table
    if required:
        return "required"
    default = (schema or {}).get("default")
    if default in (None, [], ""):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _meaning(item: Json) -> str:
    """Give a description and, behind it, the bounds that a schema sets."""
    schema = item.get("schema", item)
    said = [_line(item.get("description") or schema.get("description", ""))]
    said += [text.format(value) for key, text in _BOUNDS if (value := _bound(schema, key)) is not None]
    return " ".join(part for part in said if part)


_BOUNDS: Final = (
    ("maxLength", "At most {} characters."),
    ("maxItems", "At most {} items."),
    ("minimum", "At least {}."),
    ("maximum", "At most {}."),
)


def _bound(schema: Json, key: str) -> object:
    options = [schema, *schema.get("anyOf", ())]
    return next((option[key] for option in options if key in option), None)


def _kind(schema: Json) -> str:
    """Say in words what fits a schema."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[`{name}`](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_kind(option) for option in schema[several]))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{_spelled(value)}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "anything")


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _line(text: str) -> str:
    return " ".join(text.split())
