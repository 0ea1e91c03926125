"""Everything that a caller may send has a largest size: no list, object or text without one, at any depth."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel, Field, TypeAdapter
from starlette.routing import Mount

from runpass.cli.programs import openapi_json
from runpass.protocol.identity import IdentityRequest
from runpass.protocol.key_checks import KeyCheckReport
from runpass.protocol.registration import Registration
from runpass.protocol.reports import Finish, Report
from runpass.protocol.run_lease import Heartbeat
from runpass.protocol.sweeps import SweepReport
from runpass.protocol.vault_logins import LoginReport
from runpass.protocol.vault_tasks import TestReport
from runpass.server.deployments import runner_door
from runpass.server.vault_tasks import runner_door as task_door
from surface_scene import Server

OF_RUNNERS = {
    Registration,
    Heartbeat,
    IdentityRequest,
    Report,
    Finish,
    TestReport,
    LoginReport,
    SweepReport,
    KeyCheckReport,
}
SIGNS = {
    "string": ("maxLength", "enum", "const", "format"),
    "array": ("maxItems",),
    "object": ("properties", "maxProperties"),
}
"""What says that something of a JSON type has a largest size."""
ANY = ("anyOf", "oneOf", "allOf", "const", "enum", "type")


def unbounded(schema: Any, definitions: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Give the places of a JSON schema that may grow without limit."""
    if "$ref" in schema:
        yield from unbounded(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions, where)
        return
    for kind in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(kind, ()):
            yield from unbounded(option, definitions, where)
    if not any(sign in schema for sign in SIGNS.get(schema.get("type"), ANY)):
        yield where
    if schema.get("type") == "array":
        yield from unbounded(schema.get("items", {}), definitions, f"{where}[]")
    if "maxProperties" in schema:  # a mapping: its keys and values come from the caller
        yield from unbounded({"type": "string"} | schema.get("propertyNames", {}), definitions, f"{where}{{key}}")
        values = schema.get("additionalProperties", True)
        yield from unbounded(values if isinstance(values, dict) else {}, definitions, f"{where}{{}}")
    for name, inner in schema.get("properties", {}).items():
        yield from unbounded(inner, definitions, f"{where}.{name}")


def of_type(wanted: Any) -> list[str]:
    schema = TypeAdapter(wanted).json_schema(mode="validation")
    return list(unbounded(schema, schema.get("$defs", {}), getattr(wanted, "__name__", str(wanted))))


def bodies(found: Collection[Any]) -> Iterator[Any]:
    for context in iter_route_contexts(found):
        route = context.original_route
        if isinstance(route, Mount):
            yield from bodies(route.app.routes)
        elif isinstance(route, APIRoute) and route.body_field is not None:
            yield route.body_field.field_info.rebuild_annotation()


def test_every_body_of_the_management_api_is_bounded(server: Server):
    found = list(bodies(server.app.routes))
    assert len(found) > 12
    assert [place for body in found for place in of_type(body)] == []


def test_every_parameter_of_the_management_api_is_bounded():
    document = json.loads(openapi_json())
    found = [
        (f"{method.upper()} {path} {parameter['name']}", parameter["schema"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
        for parameter in operation.get("parameters", ())
    ]
    assert len(found) > 40
    definitions = document["components"]["schemas"]
    assert [place for name, schema in found for place in unbounded(schema, definitions, name)] == []


@pytest.mark.parametrize("message", sorted(OF_RUNNERS, key=lambda kind: kind.__name__))
def test_every_message_of_a_runner_is_bounded(message: type[BaseModel]):
    assert of_type(message) == []


def test_no_message_of_a_runner_is_forgotten():
    read = {
        kind
        for door in (runner_door, task_door)
        for name, kind in vars(door).items()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name not in {"BaseModel", "Registered"}
    }
    assert read == OF_RUNNERS


class Loose(BaseModel):
    """What must be found."""

    text: str
    texts: tuple[str, ...] | None = None
    things: dict[str, int]
    few: Annotated[dict[str, Any], Field(max_length=3)]
    whatever: Any


def test_what_is_not_bounded_is_found():
    texts, few = ["Loose.texts", "Loose.texts[]"], ["Loose.few{key}", "Loose.few{}"]
    assert of_type(Loose) == ["Loose.text", *texts, "Loose.things", *few, "Loose.whatever"]
