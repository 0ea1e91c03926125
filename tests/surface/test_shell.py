"""What stands around every route: limits per client, limits on sizes, and an id in every answer, whoever gives it."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient

from runpass.protocol.version import PROTOCOL_VERSION
from runpass.server.app import build_app
from surface_scene import Server, basic, bearer

CANARY = "canary-of-the-shell-6a02"
PROJECTS = "/api/projects"


@pytest.fixture
def limited(server: Server) -> TestClient:
    """The same server with limits that are soon reached: five requests a path, three wrong logins."""
    settings = server.parts.settings.model_copy(update={"rate_limit_requests": 5, "failed_login_limit": 3})
    return TestClient(build_app(replace(server.parts, settings=settings)))


def refused(answer: Any, status: int, code: str) -> None:
    """The answer is an error in the one envelope, with the headers that every answer has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body = answer.json()
    assert body["code"] == code
    assert len(body["requestId"]) == 16
    assert body["requestId"] == answer.headers["x-request-id"]


def test_too_many_requests_are_refused_before_anybody_is_authenticated(limited: TestClient):
    answers = [limited.get(PROJECTS) for _ in range(3)]
    assert [item.status_code for item in answers] == [401] * 3
    with structlog.testing.capture_logs() as logs:
        last = limited.get(PROJECTS)
    refused(last, 429, "too_many_requests")
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert [entry["status"] for entry in logs] == [429]


def test_the_share_of_a_path_ends_and_another_path_has_its_own(limited: TestClient, server: Server):
    admin = basic(server.ours.callers["Admin"])
    query = {"organizationId": str(server.ours.ids["organization"])}
    statuses = [limited.get(PROJECTS, params=query, headers=admin).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    assert limited.get("/api/credentials", params=query, headers=admin).status_code == 200


def test_guessing_join_tokens_is_limited_and_runners_at_work_are_not(limited: TestClient, server: Server):
    wrong = {"Authorization": "Bearer wrong"}
    registration = {"name": "new", "version": "1", "protocol": PROTOCOL_VERSION, "isolation": "uid", "capacity": 1}
    statuses = [limited.post("/runner/v1/register", json=registration, headers=wrong).status_code for _ in range(4)]
    assert statuses == [401] * 3 + [429]
    runner = bearer(server.ours.runner.key)
    assert {limited.post("/runner/v1/run-leases", headers=runner).status_code for _ in range(9)} <= {200, 204}
    assert {limited.get("/healthz").status_code for _ in range(9)} == {200}


def test_a_neighbour_who_guesses_does_not_lock_out_who_was_right_before(limited: TestClient, server: Server):
    admin = basic(server.ours.callers["Admin"])
    assert limited.get("/api/organizations", headers=admin).status_code == 200
    guesses = [limited.get(PROJECTS, auth=("rpk_unknown", f"{number}")).status_code for number in range(5)]
    assert guesses == [401] * 3 + [429] * 2
    assert limited.get("/api/organizations", headers=admin).status_code == 200


def test_every_refusal_of_the_shell_carries_an_id(server: Server):
    refused(server.client.get("/api/nothing"), 404, "not_found")
    refused(server.client.get("/nothing"), 404, "not_found")
    refused(server.client.put(PROJECTS), 405, "method_not_allowed")
    refused(server.client.get(f"{PROJECTS}?name={'x' * 8_192}"), 414, "address_too_long")
    refused(server.client.get(f"/{'x' * 8_192}"), 414, "address_too_long")
    refused(server.client.get(PROJECTS, headers={"X": "x" * 32_768}), 431, "headers_too_large")
    refused(server.client.post(PROJECTS, content=b"x" * 4_194_305), 413, "payload_too_large")


def test_clear_text_from_a_network_is_refused_with_an_id_as_well(server: Server):
    settings = server.parts.settings.model_copy(update={"trusted_proxies": (ip_network("10.0.0.0/8"),)})
    app = build_app(replace(server.parts, settings=settings))
    with structlog.testing.capture_logs() as logs:
        refused(TestClient(app, client=("192.0.2.1", 1)).get("/healthz"), 403, "clear_text")
    assert [entry["status"] for entry in logs] == [403]
    assert TestClient(app, client=("10.0.0.1", 1)).get("/healthz").status_code == 200


def test_the_limit_is_for_the_client_behind_the_proxy(server: Server):
    update = {"trusted_proxies": (ip_network("10.0.0.0/8"),), "rate_limit_requests": 1}
    app = build_app(replace(server.parts, settings=server.parts.settings.model_copy(update=update)))
    proxy = TestClient(app, client=("10.0.0.1", 1))
    statuses = [proxy.get(PROJECTS, headers={"X-Forwarded-For": by}).status_code for by in ("192.0.2.1", "192.0.2.2")]
    assert statuses == [401, 401]
    assert proxy.get(PROJECTS, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 429


@pytest.mark.parametrize("path", ["/healthz", "/api/nothing", PROJECTS])
def test_the_id_is_ours_whatever_the_client_sends(server: Server, path: str):
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        answer = server.client.get(path, headers={"X-Request-Id": CANARY})
    assert CANARY not in answer.text
    assert answer.headers["x-request-id"] != CANARY
    assert [entry["request_id"] for entry in logs] == [answer.headers["x-request-id"]]


def test_a_wrong_method_is_told_every_right_one_of_this_path(server: Server):
    def allowed(path: str) -> set[str]:
        return set(server.client.options(path).headers["allow"].split(", "))

    assert allowed(PROJECTS) == {"GET", "POST"}
    assert allowed("/api/api-keys") == {"GET", "POST"}
    assert allowed("/api/runners/join-tokens") == {"POST"}
    assert allowed("/api/runners/x") == {"DELETE"}
    assert allowed("/healthz") == {"GET", "HEAD"}
