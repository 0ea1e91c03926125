"""The committed description of the API is the one that the code gives, and it hides nothing."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runpass.cli.programs import openapi_json
from runpass.server.http.errors import STATUS
from surface_asks import Ask, asks
from surface_scene import Server, basic, routes

FILE = Path(__file__).parents[2] / "openapi.json"
BODY_IS_TEXT = {"GET /api/api-keys/oidc-sub"}
ENV0_SPELLS = {("User", "app_metadata"), ("User", "user_id")}


@pytest.fixture(scope="module")
def document():
    return json.loads(openapi_json())


def operations(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def resolved(document: Any, part: dict[str, Any]) -> dict[str, Any]:
    """Give what a reference leads to."""
    found = part
    for name in part["$ref"].removeprefix("#/").split("/") if "$ref" in part else ():
        found = (document if found is part else found)[name]
    return found


def test_the_committed_file_is_what_the_code_gives():
    assert FILE.read_text().rstrip() == openapi_json().rstrip(), "run: make openapi"


def test_every_route_of_the_management_api_is_described(document, server: Server):
    described = {name for name, _ in operations(document)}
    assert described == {route for route in routes(server.app) if " /api/" in route}


def test_every_operation_needs_an_api_key_and_says_what_it_does(document):
    for name, operation in operations(document):
        assert operation["security"] == [{"ApiKey": []}], name
        assert operation["description"].endswith("."), name
        assert operation["tags"], name


def test_every_operation_has_an_id_of_its_own_that_can_be_read(document):
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert [name for name in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z0-9]+)*", name)] == []
    assert {"listProjects", "createProject", "getProject", "cancelEnvironmentsDeployment"} <= set(ids)


def test_every_operation_documents_every_refusal_that_it_can_give(document):
    for name, operation in operations(document):
        expected = {"401", "403", "414", "429", "431", "503"}
        if operation.get("parameters") or "requestBody" in operation:
            expected |= {"404", "422"}
        if "requestBody" in operation:
            expected |= {"400"}
        if not name.startswith("GET"):
            expected |= {"409", "413"}
        if any(item["name"].lower() == "if-match" for item in operation.get("parameters", ())):
            expected |= {"412"}
        assert expected <= set(operation["responses"]), name


def test_every_status_of_an_error_is_described_somewhere(document):
    described = {status for _, operation in operations(document) for status in operation["responses"]}
    assert {str(status) for _, status in STATUS} <= described


def test_every_refusal_is_the_one_envelope_with_its_headers(document):
    headers = {"429": {"X-Request-Id", "Retry-After"}, "401": {"X-Request-Id", "WWW-Authenticate"}}
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400":
                found = resolved(document, answer)
                assert found["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
                assert set(found["headers"]) == headers.get(status, {"X-Request-Id"}), (name, status)
                assert all(resolved(document, item)["required"] for item in found["headers"].values())


def test_every_good_answer_is_json_with_an_id_or_nothing_at_all(document):
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "400":
                assert "X-Request-Id" in answer["headers"], name
                kind = "text/plain" if name in BODY_IS_TEXT else "application/json"
                assert list(answer.get("content", ())) == ([] if status == "204" else [kind]), name


def test_what_can_be_changed_with_if_match_tells_its_tag(document):
    for path, item in document["paths"].items():
        matched = [
            any(parameter["name"].lower() == "if-match" for parameter in operation.get("parameters", ()))
            for operation in item.values()
        ]
        for method, operation in item.items():
            good = next(answer for status, answer in operation["responses"].items() if status < "300")
            one = good.get("content", {}).get("application/json", {}).get("schema", {"type": "array"})
            expected = any(matched) and one.get("type") != "array"
            assert ("ETag" in good["headers"]) is expected, (method, path)


def test_what_the_framework_would_answer_itself_is_not_in_it(document):
    assert not re.search("HTTPValidationError|ValidationError", json.dumps(document))


def test_the_envelope_is_exactly_what_an_error_answers(document, server: Server):
    schema = document["components"]["schemas"]["Error"]
    admin = basic(server.ours.callers["Admin"])
    ask = next(ask for ask in asks(server.ours) if ask.route == "GET /api/projects")
    for answer in (
        server.client.get("/api/projects"),
        Ask(ask.route, query={"organizationId": "x"}).send(server.client, admin),
        server.client.get("/api/nothing", headers=admin),
    ):
        body = answer.json()
        assert set(schema["required"]) <= set(body) <= set(schema["properties"])
        assert body["code"] in schema["properties"]["code"]["enum"]
        for item in body["errors"]:
            assert set(item) == set(document["components"]["schemas"]["FieldError"]["properties"])


def test_every_name_on_the_wire_is_camel_case(document):
    fields = {
        (name, field)
        for name, schema in document["components"]["schemas"].items()
        for field in schema.get("properties", {})
    }
    assert len(fields) > 100
    odd = {(name, field) for name, field in fields if "_" in field or not field[0].islower()}
    assert odd == ENV0_SPELLS
