"""The committed description of the API is the one that the code gives, and it hides nothing."""

import json
from pathlib import Path

import pytest

from runpass.cli.programs import openapi_json
from surface_scene import Server, routes

FILE = Path(__file__).parents[2] / "openapi.json"


@pytest.fixture(scope="module")
def document():
    return json.loads(openapi_json())


def test_the_committed_file_is_what_the_code_gives():
    assert FILE.read_text().rstrip() == openapi_json().rstrip(), "run: make openapi"


def test_every_route_of_the_management_api_is_described(document, server: Server):
    described = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert described == {route for route in routes(server.app) if " /api/" in route}


def test_every_operation_needs_an_api_key_and_says_what_it_does(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["security"] == [{"ApiKey": []}], (method, path)
            assert operation["description"].endswith("."), (method, path)
            assert operation["tags"], (method, path)


def test_every_name_on_the_wire_is_camel_case(document):
    fields = {
        (name, field)
        for name, schema in document["components"]["schemas"].items()
        for field in schema.get("properties", {})
    }
    ours = {(name, field) for name, field in fields if name not in {"HTTPValidationError", "ValidationError"}}
    assert len(ours) > 100
    assert not {(name, field) for name, field in ours if "_" in field or not field[0].islower()}
