"""Refusals in the audit trail, as the API shows it."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from runpass.secret import Secret
from runpass.server.access.api_keys import KeyRequest, NewApiKey, create_api_key
from runpass.server.access.permissions import OrganizationRole
from runpass.server.trail.verifying import verify
from surface_asks import asks
from surface_scene import Server, basic


def trail(server: Server, **query: Any) -> list[dict[str, Any]]:
    answer = server.client.get(
        "/api/audit-events",
        params={"organizationId": str(server.ours.tenant.id), **query},
        headers=basic(server.ours.callers["Admin"]),
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def until(found: Callable[[], Any]) -> Any:
    for _ in range(200):
        if value := found():
            return value
        time.sleep(0.02)
    raise AssertionError("it did not come")


def a_user(server: Server) -> NewApiKey:
    """A key that may do nothing, and that nothing was refused to yet."""
    tenant = server.ours.tenant
    with tenant.world.database.write() as tx:
        wanted = KeyRequest(tenant.id, "new", OrganizationRole.USER, {})
        return create_api_key(tx, wanted, by="test", clock=tenant.world.clock)


def test_who_was_not_allowed_what_is_recorded_with_the_request(server: Server):
    user, organization = a_user(server), str(server.ours.tenant.id)
    key = server.ours.ids["key"]
    for method, path in (("GET", f"/api/api-keys?organizationId={organization}"), ("DELETE", f"/api/api-keys/{key}")):
        refused = server.client.request(method, path, headers=basic(user))
        assert refused.status_code == 403
        newest = trail(server)[0]
        assert newest["requestId"] == refused.headers["x-request-id"]
        assert (newest["action"], newest["actor"]) == ("access.denied", f"api-key:{user.key.id}")
        template = path.partition("?")[0].replace(str(key), "{key_id}")
        assert newest["detail"] == {"route": f"{method} {template}", "permission": "MANAGE_API_KEYS"}
        assert newest["organizationId"] == organization


def test_the_same_refusal_is_recorded_once_a_minute_for_each_key_and_route(server: Server):
    one, other, organization = a_user(server), a_user(server), server.ours.tenant.id
    for user in (one, other):
        for path in ("api-keys", "runners", "audit-events"):
            for _ in range(3):
                refused = server.client.get(f"/api/{path}?organizationId={organization}", headers=basic(user))
                assert refused.status_code == 403
    for user in (one, other):
        told = [item["detail"]["route"] for item in trail(server, action="access.denied", subjectId=str(user.key.id))]
        assert sorted(told) == ["GET /api/api-keys", "GET /api/audit-events", "GET /api/runners"]


def test_a_wrong_secret_of_a_key_is_recorded_once_a_minute_and_an_unknown_key_never(server: Server):
    user = server.ours.callers["User"]
    before = len(trail(server, limit=1000))
    for key in (user.key, server.theirs.callers["User"].key):
        for _ in range(5):
            wrong = NewApiKey(key, Secret("rps_wrong"))
            assert server.client.get("/api/organizations", headers=basic(wrong)).status_code == 401
    for _ in range(3):
        assert server.client.get("/api/organizations", auth=("rpk_0000000000000000", "x")).status_code == 401
    refused = until(lambda: trail(server, action="api_key.refused"))
    assert [(item["actor"], item["subjectId"]) for item in refused] == [("unknown", str(user.key.id))]
    assert len(trail(server, limit=1000)) == before + 1


def test_a_refusal_that_cannot_be_recorded_stays_a_refusal(server: Server):
    with server.parts.database.write() as tx:
        tx.execute(text("ALTER TABLE audit_events RENAME TO audit_events_away"))
    refused = server.client.get(
        "/api/api-keys",
        params={"organizationId": str(server.ours.tenant.id)},
        headers=basic(server.ours.callers["User"]),
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_an_identity_token_that_a_runner_does_not_get_is_recorded_once_a_minute(server: Server):
    ask = next(item for item in asks(server.ours) if item.route.endswith("identity-token"))
    body = ask.body | {"purpose": {"kind": "credential", "credentialId": str(server.theirs.ids["assigned"])}}
    route = ask.route.split(" ")[1].format(**ask.path)
    for _ in range(3):
        assert server.client.post(route, json=body, headers=ask.headers).status_code == 403
    (refused,) = trail(server, action="identity_token.refused")
    assert refused["actor"] == f"runner:{server.ours.runner.runner.id}"
    assert (refused["subjectKind"], refused["subjectId"]) == ("run_lease", str(server.ours.lease.lease_id))
    assert (refused["detail"]["code"], refused["detail"]["purpose"]) == ("forbidden", "credential")


def test_the_trail_is_read_page_by_page_without_a_gap(server: Server):
    everything = trail(server, limit=1000)
    assert [item["sequence"] for item in everything] == list(range(len(everything), 0, -1))
    pages, before = [], {}
    while page := trail(server, limit=7, **before):
        pages += page
        before = {"before": page[-1]["sequence"]}
    assert pages == everything
    one = trail(server, action="runner.registered", subjectId=str(server.ours.runner.runner.id))
    assert [item["action"] for item in one] == ["runner.registered"]
    assert all(item.fault is None for item in verify(server.parts.database))


def test_only_whole_pages_of_a_known_size_are_given(server: Server):
    for query in ({"limit": 0}, {"limit": 1001}, {"before": 0}, {"before": 2**63}):
        answer = server.client.get(
            "/api/audit-events",
            params={"organizationId": str(server.ours.tenant.id), **query},
            headers=basic(server.ours.callers["Admin"]),
        )
        assert answer.status_code == 422
