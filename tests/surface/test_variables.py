"""Variables over the API: what env0's clients send comes back as they expect it, and what is refused."""

from typing import Any

import pytest

from surface_scene import Server, basic


@pytest.fixture
def call(server: Server) -> Any:
    headers = basic(server.ours.callers["Admin"])

    def send(method: str, path: str = "", body: Any = None, **more: Any) -> Any:
        return server.client.request(
            method, f"/api/configuration{path}", json=body, headers={**headers, **more.pop("headers", {})}, **more
        )

    return send


@pytest.fixture
def variable(server: Server) -> Any:
    ids = server.ours.ids
    places = {"BLUEPRINT": ids["template"], "PROJECT": ids["project"], "ENVIRONMENT": ids["environment"]}

    def describe(name: str, value: str, scope: str = "GLOBAL", **more: Any) -> dict[str, Any]:
        place = {"scopeId": str(places[scope])} if scope in places else {}
        return {
            "name": name,
            "value": value,
            "scope": scope,
            "organizationId": str(ids["organization"]),
            **place,
            **more,
        }

    return describe


def test_what_was_not_sent_has_a_value_that_clients_can_read(call: Any, variable: Any):
    (made,) = call("POST", body=[variable("PLAIN", "text")]).json()
    assert (made["type"], made["isSensitive"], made["isReadonly"], made["isRequired"]) == (0, False, False, False)
    assert (made["description"], made["regex"], made["scopeId"], made["overwrites"]) == ("", "", None, None)
    assert made["schema"] == {"type": "string", "enum": None, "format": None}
    assert made["userId"].startswith("api-key:")
    assert call("GET", f"/{made['id']}").json() == made


def test_what_was_sent_comes_back(call: Any, variable: Any):
    schema = {"type": "string", "enum": ["a", "b"], "format": "HCL"}
    sent = {"isReadonly": True, "isRequired": True, "description": "text", "regex": "[ab]", "schema": schema, "type": 1}
    (made,) = call("POST", body=[variable("FULL", "a", **sent)]).json()
    assert {name: made[name] for name in sent} == sent


def test_nulls_stand_for_what_was_not_sent(call: Any, variable: Any):
    empty = ("value", "type", "isSensitive", "isReadonly", "isRequired", "description", "regex", "schema")
    (made,) = call("POST", body=[variable("EMPTY", "") | dict.fromkeys(empty)]).json()
    assert (made["value"], made["type"], made["isSensitive"]) == ("", 0, False)


def test_with_an_id_that_variable_is_changed_and_without_one_its_namesake(call: Any, variable: Any):
    (made,) = call("POST", body=[variable("NAME", "one", "PROJECT")]).json()
    (renamed,) = call("POST", body=[variable("RENAMED", "two", "PROJECT", id=made["id"])]).json()
    (replaced,) = call("POST", body=[variable("RENAMED", "three", "PROJECT")]).json()
    assert made["id"] == renamed["id"] == replaced["id"]
    assert call("POST", body=[variable("RENAMED", "x", "ENVIRONMENT", id=made["id"])]).status_code == 404
    assert call("GET", f"/{made['id']}").json()["value"] == "three"


def test_several_are_saved_together_or_not_at_all(call: Any, variable: Any, server: Server):
    good, bad = variable("GOOD", "x"), variable("BAD", "x", regex="y")
    answer = call("POST", body=[good, bad])
    assert [item["field"] for item in answer.json()["errors"]] == ["1.value"]
    names = {item["name"] for item in listed(call, server)}
    assert "GOOD" not in names
    assert len(call("POST", body=[good, variable("ALSO", "x")]).json()) == 2


def listed(call: Any, server: Server, **query: str) -> list[dict[str, Any]]:
    return call("GET", params={"organizationId": str(server.ours.ids["organization"]), **query}).json()


def test_a_list_says_what_each_variable_overrides_and_redacts_it(call: Any, variable: Any, server: Server):
    call(
        "POST",
        body=[variable("NAME", "canary", isSensitive=True, isRequired=True), variable("NAME", "clear", "PROJECT")],
    )
    call("POST", body=[variable("NAME", "lowest", "ENVIRONMENT")])
    found = listed(call, server, environmentId=str(server.ours.ids["environment"]))
    by_scope = {item["scope"]: item for item in found if item["name"] == "NAME"}
    assert by_scope["GLOBAL"]["overwrites"] is None
    assert by_scope["PROJECT"]["overwrites"] == {
        "value": "********",
        "scope": "GLOBAL",
        "scopeId": None,
        "isSensitive": True,
        "isRequired": True,
        "regex": "",
    }
    assert by_scope["ENVIRONMENT"]["overwrites"]["value"] == "clear"
    assert "canary" not in str(found)


def test_a_list_opens_no_sensitive_value(call: Any, server: Server):
    with server.parts.database.write() as tx:
        tx.exec_driver_sql("UPDATE variables SET value_sealed = x'01' WHERE value_sealed IS NOT NULL")
    found = listed(call, server, environmentId=str(server.ours.ids["environment"]))
    assert {item["value"] for item in found if item["isSensitive"]} == {"********"}
    assert call("GET", f"/{found[0]['id']}").status_code == 200


def test_a_read_only_name_is_refused_below(call: Any, variable: Any):
    call("POST", body=[variable("KEPT", "x", isReadonly=True)])
    answer = call("POST", body=[variable("KEPT", "canary", "ENVIRONMENT")])
    assert (answer.status_code, [item["field"] for item in answer.json()["errors"]]) == (422, ["name"])
    assert "read-only at the scope GLOBAL" in answer.json()["message"]
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"schema": {"enum": ["a"]}}, "value"),
        ({"regex": "[a-z]"}, "value"),
        ({"regex": "(canary"}, "regex"),
        ({"value": "${vault:canary}"}, "value"),
        ({"value": "${env0:canary}", "schema": {"format": "ENVIRONMENT_OUTPUT"}}, "value"),
        ({"schema": {"format": "YAML"}}, "schema.format"),
        ({"type": 2}, "type"),
        ({"scope": "SET"}, "scope"),
        ({"name": "LD_PRELOAD"}, "name"),
        ({"name": "TF_VAR-x", "type": 1}, "name"),
    ],
)
def test_what_is_no_variable_is_refused_without_its_value(call: Any, variable: Any, more: dict[str, Any], field: str):
    answer = call("POST", body=[variable("NAME", "canary") | more])
    assert answer.status_code == 422
    assert [item["field"].removeprefix("0.") for item in answer.json()["errors"]] == [field]
    assert "canary" not in answer.text


def test_a_regex_that_another_engine_would_choke_on_is_answered(call: Any, variable: Any):
    answer = call("POST", body=[variable("NAME", "a" * 60_000 + "!", regex="(a+)+$")])
    assert answer.status_code == 422


def test_a_change_may_name_what_it_is_a_change_of(call: Any, variable: Any):
    made = call("POST", body=[variable("NAME", "one")])
    first, where = made.headers["etag"], f"/{made.json()[0]['id']}"
    assert call("GET", where).headers["etag"] == first
    second = call("POST", body=[variable("NAME", "two")], headers={"If-Match": first})
    assert (second.status_code, second.headers["etag"] == first) == (200, False)
    assert call("POST", body=[variable("NAME", "three")], headers={"If-Match": first}).status_code == 412
    assert call("DELETE", where, headers={"If-Match": first}).status_code == 412
    assert call("DELETE", where, headers={"If-Match": second.headers["etag"]}).status_code == 204
    assert call("GET", where).status_code == 404


def test_there_are_no_sets_of_variables(server: Server):
    headers = basic(server.ours.callers["Admin"])
    query = {"organizationId": str(server.ours.ids["organization"])}
    assert server.client.get("/api/configuration-sets", params=query, headers=headers).json() == []
    for whose, status in ((server.ours, 200), (server.theirs, 404)):
        path = f"/api/configuration-sets/assignments/environment/{whose.ids['environment']}"
        answer = server.client.get(path, headers=headers)
        assert answer.status_code == status
    assert server.client.get(path.replace(str(whose.ids["environment"]), "x"), headers=headers).status_code == 422
