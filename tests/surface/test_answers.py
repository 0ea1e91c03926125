"""What a wrong request is told: one envelope for everything, every bad field at once, and never what was sent."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from json_places import leaves, replaced
from surface_asks import Ask, asks
from surface_scene import Server, basic

CANARY = "canary-in-the-request-51bd"
ENVELOPE = {"message", "code", "errors", "requestId"}
NOTHING_REQUIRED = ("/policies", "/deployments", "/destroy", "/environments/{environment_id}")


def envelope(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body = answer.json()
    assert ENVELOPE <= set(body) <= ENVELOPE | {"hint"}
    assert body["requestId"] == answer.headers["x-request-id"]
    assert len(body["requestId"]) == 16
    assert all(set(item) == {"field", "message"} for item in body["errors"])
    return body


@pytest.fixture
def with_bodies(server: Server) -> list[Ask]:
    return [ask for ask in asks(server.ours) if ask.body is not None]


def headers(server: Server, ask: Ask) -> dict[str, str]:
    return ask.headers if ask.by_bearer else basic(server.ours.callers["Admin"])


def send(server: Server, ask: Ask, body: Any) -> Any:
    changed = Ask(ask.route, ask.path, ask.query, body, ask.headers)
    return changed.send(server.client, headers(server, ask))


def raw(server: Server, ask: Ask, content: Any, **more: Any) -> Any:
    method, template = ask.route.split(" ")
    sent = {**headers(server, ask), "Content-Type": "application/json", **more}
    return server.client.request(method, template.format(**ask.path), content=content, headers=sent)


def test_a_field_of_the_wrong_type_is_named_and_not_repeated(server: Server, with_bodies: list[Ask]):
    wrong, tried = [], 0
    for ask in with_bodies:
        for place, _ in leaves(ask.body):
            for value in ({"canary": CANARY}, [[CANARY]]):
                tried += 1
                answer = send(server, ask, replaced(ask.body, place, value))
                body = envelope(answer, 422)
                fields = [item["field"] for item in body["errors"]]
                where = "purpose" if place[-1] == "kind" else str(place[-1])  # what decides the shape stands for it
                if CANARY in answer.text or not any(where in item for item in fields):
                    wrong.append((ask.route, place, answer.text))
    assert wrong == []
    assert tried > 150


def test_what_stands_beside_a_bad_field_is_not_repeated_either(server: Server, with_bodies: list[Ask]):
    """The framework's own answer would repeat the whole body."""
    for ask in with_bodies:
        texts = [place for place, value in leaves(ask.body) if isinstance(value, str)]
        for bad in texts[:1]:
            body = ask.body
            for place in texts:
                body = replaced(body, place, CANARY)
            answer = send(server, ask, replaced(body, bad, {"x": CANARY}))
            envelope(answer, 422)
            assert CANARY not in answer.text, ask.route


def test_all_bad_fields_are_named_at_once(server: Server, with_bodies: list[Ask]):
    for ask in with_bodies:
        body, expected = ask.body, set()
        for place, _ in leaves(ask.body):
            body = replaced(body, place, {"x": CANARY})
            expected.add(str(place[-1] if isinstance(place[-1], str) else place[-2]))
        expected -= {"kind", "credentialId"}  # a purpose of no known kind has no fields
        if "/credentials" in ask.route:
            expected &= set(ask.body)  # neither has the value of a credential of no known type
        answer = envelope(send(server, ask, body), 422)
        named = " ".join(item["field"] for item in answer["errors"])
        assert not [name for name in expected if name not in named], ask.route


def test_a_query_and_a_path_of_the_wrong_kind_are_refused(server: Server):
    admin = basic(server.ours.callers["Admin"])
    for ask in asks(server.ours):
        if ask.by_bearer or ask.route.startswith("GET /o/"):  # whose documents are 404 for all that is unknown
            continue
        ids = [name for name in ask.query if name.endswith("Id")]
        for name in ids:
            answer = Ask(ask.route, ask.path, {**ask.query, name: CANARY}).send(server.client, admin)
            assert [item["field"] for item in envelope(answer, 422)["errors"]] == [name]
            assert CANARY not in answer.text
        for name in (item for item in ask.path if item.endswith("_id")):
            answer = Ask(ask.route, {**ask.path, name: CANARY}, ask.query, ask.body).send(server.client, admin)
            assert [item["field"] for item in envelope(answer, 422)["errors"]] == [name]
            assert CANARY not in answer.text


@pytest.mark.parametrize("body", [None, [], "text", 7, [CANARY], {}])
def test_a_body_of_the_wrong_shape_is_refused(server: Server, with_bodies: list[Ask], body: Any):
    for ask in with_bodies:
        if body == {} and ask.route.endswith(NOTHING_REQUIRED):
            continue
        if body is None and ask.route.endswith("/destroy"):
            continue  # its body may be left out
        answer = raw(server, ask, json.dumps(body))
        envelope(answer, 422)
        assert CANARY not in answer.text


def test_a_body_that_is_not_json_is_400_everywhere(server: Server, with_bodies: list[Ask]):
    for ask in with_bodies:
        answer = raw(server, ask, f'{{"name": "{CANARY}", ')
        assert envelope(answer, 400)["code"] == "invalid_json"
        assert CANARY not in answer.text


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"[" * 20_000, b"1" * 5_000, b"{'a': 1}"],
    ids=["not UTF-8", "too deep", "a number too long", "not quite JSON"],
)
def test_a_body_that_no_parser_likes_is_the_callers_mistake(server: Server, with_bodies: list[Ask], content: bytes):
    for ask in with_bodies:
        answer = raw(server, ask, content)
        assert answer.status_code in {400, 422}, (ask.route, answer.text)
        envelope(answer, answer.status_code)


def test_text_that_no_database_can_hold_is_refused_or_made_storable(server: Server, with_bodies: list[Ask]):
    for ask in with_bodies:
        for place, value in leaves(ask.body):
            if isinstance(value, str):
                for odd in ("nul\\u0000", "\\ud800"):
                    server.restore()
                    text = json.dumps(replaced(ask.body, place, "THE-PLACE")).replace("THE-PLACE", odd)
                    answer = raw(server, ask, text)
                    assert answer.status_code < 500, (ask.route, place, odd, answer.text)


@pytest.mark.parametrize("content", [b"x" * 4_194_305, b"x" * 6_000_000], ids=["just too large", "far too large"])
def test_a_body_that_is_too_large_is_413_whether_declared_or_not(server: Server, content: bytes):
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(content), 500_000):
            yield content[start : start + 500_000]

    for ask in asks(server.ours):
        if ask.body is None and ask.route.startswith("GET"):
            continue
        for sent in (content, chunks()):
            assert envelope(raw(server, ask, sent), 413)["code"] == "payload_too_large"


def test_a_body_of_just_the_largest_size_is_read(server: Server):
    ask = next(ask for ask in asks(server.ours) if ask.route == "POST /api/projects")
    text = json.dumps(ask.body)
    assert raw(server, ask, text + " " * (4_194_304 - len(text))).status_code == 201


@pytest.mark.parametrize("declared", ["-1", "1e3", "canary", "²", ""])
def test_a_length_that_is_no_number_is_refused(server: Server, declared: str):
    ask = next(ask for ask in asks(server.ours) if ask.route == "POST /api/projects")
    answer = raw(server, ask, b"{}", **{"Content-Length": declared.encode("latin-1")})
    assert answer.status_code == 413


def test_a_wrong_method_is_405_and_names_the_right_ones(server: Server):
    by_path: dict[str, set[str]] = {}
    for ask in asks(server.ours):
        method, template = ask.route.split(" ")
        by_path.setdefault(template, set()).add(method)
    admin = basic(server.ours.callers["Admin"])
    for template, methods in by_path.items():
        path = re.sub(r"{\w+}", "x", template)
        answer = server.client.request("TRACE", path, headers=admin)
        body = envelope(answer, 405)
        assert body["code"] == "method_not_allowed"
        assert set(answer.headers["allow"].replace(" ", "").split(",")) - {"HEAD"} <= methods, path


def test_a_refusal_says_how_to_prove_oneself(server: Server):
    answer = server.client.get("/api/projects")
    body = envelope(answer, 401)
    assert answer.headers["www-authenticate"] == 'Basic realm="runpass"'
    assert body["hint"] == "send HTTP Basic: user = API key id, password = its secret"


def test_every_wrong_credential_gets_the_same_sentence(server: Server):
    key = server.ours.callers["Admin"].key.api_key_id
    told = {
        envelope(server.client.get("/api/projects", auth=auth), 401)["message"]
        for auth in ((key, "wrong"), (key, ""), ("rpk_unknown", "wrong"), ("", ""), ("nul\x00", "x"), ("é", "é"))
    }
    assert told == {"the API key id or its secret is wrong"}


@pytest.mark.parametrize("header", ["Basic é", "Basic ====", "Basic", "Digest x", "\x7f", "Basic " + "A" * 9_999])
def test_no_authorization_header_is_a_failure_of_ours(server: Server, header: str):
    for path in ("/api/projects", "/runner/v1/run-leases"):
        method = "POST" if "runner" in path else "GET"
        answer = server.client.request(method, path, headers={"Authorization": header.encode("latin-1")})
        envelope(answer, 401)


def test_a_failure_of_ours_says_nothing_but_where_to_look(server: Server):
    with structlog.testing.capture_logs() as logs:
        deploy = "POST /api/environments/{environment_id}/deployments"
        ask = next(ask for ask in asks(server.ours) if ask.route == deploy)
        with server.parts.database.write() as tx:
            tx.exec_driver_sql("UPDATE variables SET value_sealed = x'01'")
        answer = ask.send(server.client, basic(server.ours.callers["Admin"]))
    assert envelope(answer, 500)["message"] == "something went wrong here; the server's log has the request id"
    assert "request.crashed" in {entry["event"] for entry in logs}


def test_a_crash_is_answered_and_ends_there(server: Server):
    with server.parts.database.write() as tx:
        tx.exec_driver_sql("UPDATE projects SET tags = '7'")
    admin = basic(server.ours.callers["Admin"])
    query = {"organizationId": str(server.ours.ids["organization"])}
    with structlog.testing.capture_logs() as logs:
        answer = server.client.get("/api/projects", params=query, headers=admin)
    assert envelope(answer, 500)["code"] == "internal"
    of_the_request = [entry["event"] for entry in logs if entry["event"].startswith("request")]
    assert of_the_request == ["request.crashed", "request"]
    with server.parts.database.write() as tx:
        tx.exec_driver_sql("UPDATE runners SET isolation = 'unknown'")
    door = next(ask for ask in asks(server.ours) if ask.route == "POST /runner/v1/run-leases")
    assert envelope(door.send(server.client), 500)["code"] == "internal"


def test_a_body_full_of_mistakes_is_answered_with_a_few_of_them_and_soon(server: Server):
    by_route = {ask.route: ask for ask in asks(server.ours)}
    key, many = by_route["POST /api/api-keys"], by_route["POST /api/configuration"]
    door = next(ask for ask in asks(server.ours) if ask.route.endswith("/report"))
    deploy = by_route["POST /api/environments/{environment_id}/deployments"]
    bodies = [
        (key, replaced(key.body, ("permissions", "projectsPermissions"), [1] * 2_000_000)),
        (key, replaced(key.body, ("permissions", "projectsPermissions"), [{}] * 200)),
        (many, [{}] * 100),
        (many, [1] * 2_000_000),
        (deploy, {**deploy.body, "configurationChanges": [1] * 2_000_000}),
        (door, {**door.body, "steps": [{}] * 1_000, "events": [{}] * 1_000}),
        (door, {**door.body, "steps": [1] * 1_000_000, "events": [1] * 1_000_000}),
    ]
    for ask, body in bodies:
        begun = time.monotonic()
        answer = raw(server, ask, json.dumps(body, separators=(",", ":")))
        told = envelope(answer, 422)
        assert len(told["errors"]) <= 20, ask.route
        assert len(answer.content) < 10_000, ask.route
        assert time.monotonic() - begun < 20, ask.route  # seconds, where a quadratic look would take minutes
        if len(told["errors"]) == 20:
            assert re.search(r"; and \d+ more$", told["message"]), told["message"]


def test_a_method_that_the_client_made_up_is_neither_a_label_nor_in_the_log(server: Server):
    with structlog.testing.capture_logs() as logs:
        for number in range(3):
            server.client.request(f"{CANARY}{number}".upper(), "/api/projects")
    assert [entry["method"] for entry in logs if entry["event"] == "request"] == ["other"] * 3
    assert CANARY.upper() not in server.client.get("/metrics").text.upper()


@pytest.mark.parametrize("said", ["1", "3", "0", "", "canary"])
def test_a_runner_of_another_protocol_is_told_so_at_every_door(server: Server, said: str):
    for ask in asks(server.ours):
        if "/runner/v1/" in ask.route and not ask.route.endswith("/register"):
            answer = ask.send(server.client, {"Runpass-Protocol": said})
            body = envelope(answer, 409)
            assert "another protocol" in body["message"]
            assert CANARY not in answer.text


def test_a_runner_that_names_the_right_protocol_is_served(server: Server):
    door = next(ask for ask in asks(server.ours) if ask.route.endswith("/heartbeat"))
    answer = door.send(server.client, {"Runpass-Protocol": "2"})
    assert answer.status_code == 200 or answer.json()["code"] == "stale_lease"  # another test may have ended it
    assert "protocol" not in answer.text


def test_documents_are_cacheable_and_know_their_tag(server: Server):
    for path in ("/.well-known/openid-configuration", "/.well-known/jwks.json"):
        answer = server.client.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=300")
        again = server.client.get(path, headers={"If-None-Match": f'"other", W/{answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]


def test_answers_and_log_lines_name_the_route_and_not_what_was_in_it(server: Server):
    with structlog.testing.capture_logs() as logs:
        for ask in asks(server.ours):
            if ask.route.startswith("GET"):
                ask.send(server.client, basic(server.ours.callers["Admin"]), follow=False)
        server.client.get("/api/nothing")
    expected = [ask.route.split(" ")[1] for ask in asks(server.ours) if ask.route.startswith("GET")]
    assert [entry["route"] for entry in logs if entry["event"] == "request"] == [*expected, "unmatched"]
