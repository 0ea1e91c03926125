"""Every route of the running server: for nobody, for another tenant, for each role."""

import os
import tomllib
from pathlib import Path
from uuid import uuid4

import pytest

from runpass.secret import Secret
from surface_asks import Ask, asks, with_another_id
from surface_scene import Server, basic, bearer, routes

HERE = Path(__file__).parent
PUBLIC = {entry["route"]: entry["why"] for entry in tomllib.loads((HERE / "public_routes.toml").read_text())["route"]}
ROLES_FILE = HERE / "roles.txt"
ROLES = ("Admin", "User", "project Admin", "project Deployer", "project Planner", "project Viewer")

NOT_OFFERED = {"GET /api/blueprints/variables-from-repository"}
"""Routes that env0 has and that answer 501 with a sentence."""


def test_there_is_a_valid_request_for_every_route(server: Server):
    pages = {route for route in routes(server.app) if " /console" in route}  # test_console tries these
    assert {ask.route for ask in asks(server.ours)} == set(routes(server.app)) - pages


def test_the_public_routes_are_few_and_each_says_why(server: Server):
    assert set(PUBLIC) <= set(routes(server.app))
    assert len(PUBLIC) <= 19
    assert all(len(why) > 40 for why in PUBLIC.values())


def test_nobody_gets_anything_but_the_public_routes(server: Server):
    wrong = []
    for ask in asks(server.ours):
        anonymous = Ask(ask.route, ask.path, ask.query, ask.body)
        for attempt in (anonymous, Ask(ask.route, ask.path), Ask(ask.route, dict.fromkeys(ask.path, "x"))):
            answer = attempt.send(server.client)
            expected = 401
            if ask.route in PUBLIC:
                expected = 404 if attempt.path.get("organization_id") == "x" else 200
            if answer.status_code != expected:
                wrong.append((ask.route, answer.status_code))
    assert wrong == []


def test_no_bearer_is_accepted_at_another_ones_door(server: Server):
    ours, admin = server.ours, server.ours.callers["Admin"]
    lease_secret, job = ours.lease.lease_secret, Secret("eyJhbGciOiJub25lIn0.e30.")
    wrong_for_api = [bearer(item) for item in (ours.runner.key, ours.join_token, lease_secret, admin.secret, job)]
    wrong_for_runners = [bearer(item) for item in (admin.secret, lease_secret, job)]
    accepted = []
    for ask in asks(ours):
        if ask.route in PUBLIC:
            continue
        if ask.by_bearer:
            right = ours.runner.key if "register" in ask.route else ours.join_token
            wrong = [*wrong_for_runners, bearer(right), basic(admin)]
        else:
            wrong = wrong_for_api
        for headers in wrong:
            answer = ask.send(server.client, headers)
            if answer.status_code != 401:
                accepted.append((ask.route, answer.status_code))
    assert accepted == []


def test_every_valid_request_of_an_admin_gets_a_good_answer(server: Server):
    admin = basic(server.ours.callers["Admin"])
    bad = []
    for ask in asks(server.ours):
        server.restore()
        answer = ask.send(server.client, None if ask.by_bearer else admin)
        if not answer.is_success and (ask.route not in NOT_OFFERED or answer.status_code != 501):
            bad.append((ask.route, answer.status_code, answer.text))
    assert bad == []


def test_an_admin_of_another_tenant_finds_nothing_of_ours(server: Server):
    stranger = basic(server.theirs.callers["Admin"])
    found = []
    for ask in asks(server.ours):
        if ask.route in PUBLIC or ask.by_bearer or not (ask.path or ask.query or ask.body):
            continue
        answer = ask.send(server.client, stranger)
        if answer.status_code != 404:
            found.append((ask.route, answer.status_code))
    assert found == []


def test_another_tenants_ids_are_as_unknown_as_ids_that_do_not_exist(server: Server):
    """SECURITY: in every place that takes an id, another tenant's must neither work nor be told from a made-up one."""
    admin = basic(server.ours.callers["Admin"])
    wrong, places = [], 0
    for ask in asks(server.ours):
        theirs = with_another_id(ask, server.ours.ids, lambda name: str(server.theirs.ids[name]))
        unknown = with_another_id(ask, server.ours.ids, lambda _: str(uuid4()))
        for (place, foreign), (_, made_up) in zip(theirs, unknown, strict=True):
            places += 1
            headers = None if ask.by_bearer else admin
            answers = [item.send(server.client, headers) for item in (foreign, made_up)]
            said = [{**item.json(), "requestId": ""} for item in answers if item.content]
            allowed = {401, 403, 404, 409} if ask.by_bearer else {404, 422}
            statuses = {item.status_code for item in answers}
            if len(statuses) != 1 or not statuses <= allowed or said[0] != said[1]:
                wrong.append((ask.route, place, [item.status_code for item in answers], said))
    assert wrong == []
    assert places > 70


def test_what_each_role_may_do_is_exactly_what_the_table_says(server: Server):
    lines = [f"{'':92}" + "".join(f"{role:18}" for role in ROLES).rstrip()]
    for ask in asks(server.ours):
        if ask.route in PUBLIC or ask.by_bearer:
            continue
        row = []
        for role in ROLES:
            server.restore()
            row.append(ask.send(server.client, basic(server.ours.callers[role])).status_code)
        lines.append(f"{ask.name:92}" + "".join(f"{status:<18}" for status in row).rstrip())
    found = "\n".join(lines) + "\n"
    if os.environ.get("WRITE_EXPECTED") == "1":
        ROLES_FILE.write_text(found)
    assert found == ROLES_FILE.read_text(), "read the difference, and if it is meant, run again with WRITE_EXPECTED=1"


def test_what_is_revoked_stops_at_once(server: Server):
    admin = basic(server.ours.callers["Admin"])
    key = server.ours.callers["User"]
    assert server.client.get("/api/organizations", headers=basic(key)).status_code == 200
    assert server.client.delete(f"/api/api-keys/{key.key.id}", headers=admin).status_code == 204
    assert server.client.get("/api/organizations", headers=basic(key)).status_code == 401
    heartbeat = next(ask for ask in asks(server.ours) if ask.route.endswith("heartbeat"))
    assert heartbeat.send(server.client).status_code == 200
    runner = server.ours.runner.runner.id
    assert server.client.delete(f"/api/runners/{runner}", headers=admin).status_code == 204
    assert heartbeat.send(server.client).status_code == 401


@pytest.mark.parametrize("path", ["/api", "/api/", "/nothing", "/api/nothing", "/api/projects/", "/docs"])
def test_there_is_nothing_where_no_route_is(server: Server, path: str):
    answer = server.client.get(path, headers=basic(server.ours.callers["Admin"]), follow_redirects=False)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_a_look_at_the_door_for_identity_tokens_mints_none(server: Server):
    ask = next(item for item in asks(server.ours) if "/id-token/" in item.route)
    path = ask.route.split(" ")[1].format(**ask.path)
    assert server.client.head(path, headers=ask.headers).status_code == 405
    assert ask.send(server.client).status_code == 200
