"""Every kind of bearer at every door of a real server and a real OpenBao; what is stale, guessed, copied or over."""

import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from programs import wait_until
from runpass.local.openbao import DevOpenBao
from runpass.server.app import build_app
from runpass.server.http.limiting import SIGN_IN
from runpass.server.web.cookies import SESSION
from runpass.server.web.places import CONSOLE
from surface_ask import BEARERS_DOORS
from surface_scene import routes
from token_matrix import cast, table
from token_scene import ELSEWHERE, REGISTRATION, Json, PlayedRunner, Standing, bearer, lose, stand

TABLE = Path(__file__).with_name("token_matrix.txt")
PUBLIC = Path(__file__).parents[1] / "surface" / "public_routes.toml"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, openbao: DevOpenBao) -> Iterator[Standing]:
    with ExitStack() as stack:
        yield stand(tmp_path_factory.mktemp("matrix"), openbao, stack)


def test_every_bearer_opens_its_own_doors_and_no_others(standing: Standing):
    found = table(cast(standing))
    if os.environ.get("WRITE_EXPECTED") == "1":
        TABLE.write_text(found)
    assert found == TABLE.read_text(), "read the difference, and if it is meant, run again with WRITE_EXPECTED=1"


def test_the_matrix_leaves_out_no_group_of_the_api_and_no_door_of_a_bearer(standing: Standing):
    tried = [re.sub(r"[?,].*", "", line.partition("  ")[0]) for line in TABLE.read_text().splitlines() if "/" in line]
    there = [re.sub(r"{[a-z_]+}", "{id}", route) for route in routes(build_app(standing.parts))]
    groups = {route.split("/")[2] for route in there if " /api/" in route}
    assert {route.split("/")[2] for route in tried if " /api/" in route} == groups
    by_bearer = {route for route in there if any(door in route for door in BEARERS_DOORS)}
    assert {route for route in tried if any(door in route for door in BEARERS_DOORS)} == by_bearer


def shown_everywhere(token: str) -> dict[str, str]:
    """Bring a bearer in the header, and as the cookie of a session."""
    return {**bearer(token), "Cookie": f"{SESSION}={token}"}


def is_closed(path: str, answer: httpx2.Response) -> bool:
    """Whether a door takes somebody for nobody: pages lead nobody to the sign-in."""
    if path.startswith(f"{CONSOLE}/"):
        return answer.headers.get("location", "").partition("?")[0] == SIGN_IN
    return answer.status_code == httpx2.codes.UNAUTHORIZED


def refusals(answers: Iterable[httpx2.Response]) -> set[tuple[int, str, str]]:
    """Give the different things that were said, but for the request's id."""
    said = [(answer.status_code, answer.json() if answer.content else {}) for answer in answers]
    return {(status, body.get("code", ""), json.dumps({**body, "requestId": ""})) for status, body in said}


def at_every_door(runner: PlayedRunner, lease: Json) -> list[httpx2.Response]:
    """Ask every door of a run lease."""
    finish = runner.holding(lease, "finish", outcome="success")
    token = runner.holding(lease, "identity-token", purpose={"kind": "job"})
    login = runner.holding(lease, f"vault-logins/{uuid4()}", given={"accessor": "text", "ttlSeconds": 60})
    return [finish, token, login, runner.holding(lease, "heartbeat"), runner.holding(lease, "report")]


def test_of_a_run_that_was_lost_and_taken_again_only_all_that_is_new_together_counts(standing: Standing):
    lost = lose(standing)
    pairs = [(lost.lost[part], lost.held[part]) for part in ("leaseId", "leaseSecret", "fencingToken")]
    assert pairs[2] == (1, 2)
    answers = []
    for runner, *parts in product((lost.first, lost.second), *pairs):
        if runner is lost.second and tuple(parts) == tuple(new for _, new in pairs):
            continue
        answers += at_every_door(runner, dict(zip(("leaseId", "leaseSecret", "fencingToken"), parts, strict=True)))
    assert len(answers) == 75
    ((status, code, _),) = refusals(answers)
    assert (status, code) == (409, "stale_lease")
    assert lost.second.holding(lost.held, "heartbeat").status_code == 200


def test_a_guessed_fencing_token_is_refused_as_a_stale_one_is(standing: Standing):
    pool = "guessed"
    runner = standing.runner(pool)
    lease = standing.begin(standing.ours.project(pool), runner, pool)
    guesses = [lease["fencingToken"] + step for step in (-1, 1, 2, 1_000_000)] + [2**31 - 1]
    answers = [answer for guess in guesses for answer in at_every_door(runner, {**lease, "fencingToken": guess})]
    ((status, code, _),) = refusals(answers)
    assert (status, code) == (409, "stale_lease")
    for no_token in (-1, 2**31, 10**30, "", 1.5, None):
        said = at_every_door(runner, {**lease, "fencingToken": no_token})
        assert {answer.status_code for answer in said} == {422}, no_token
    assert runner.holding(lease, "heartbeat").status_code == 200


def test_a_copied_secret_is_no_good_to_another_runner(standing: Standing):
    pool = "copied"
    side, gone, owner = standing.vault_side("v1"), standing.runner(pool), standing.runner(pool)
    others = [standing.runner(pool), standing.runner("another"), standing.runner(pool, standing.theirs)]
    standing.vault_token(side, gone, standing.begin(side.project, gone, pool))
    standing.ours.call("DELETE", f"/runners/{gone.id}")
    lease = standing.begin(side.project, owner, pool)
    asked = {"projectId": side.project, "credentialId": side.credential, "pool": pool}
    standing.ours.call("POST", "/connection-tests", asked)
    test, sweep = owner.given("/vault-tasks"), owner.given("/vault-tasks?sweeps=true")

    def of_tasks(runner: PlayedRunner) -> list[httpx2.Response]:
        finished = runner.call(f"/vault-tasks/{test['taskId']}/finish", {"checks": []}, task_secret=test["taskSecret"])
        body = {"result": "failed"}
        return [finished, runner.call(f"/vault-tasks/{sweep['taskId']}/swept", body, task_secret=sweep["taskSecret"])]

    wrong_secret = {**lease, "leaseSecret": "rpl_wrong"}
    by_lease = [item for runner in others for item in at_every_door(runner, lease)]
    assert refusals(by_lease) == refusals(at_every_door(owner, wrong_secret))
    ((status, code, _),) = refusals(answer for runner in others for answer in of_tasks(runner))
    assert (status, code) == (409, "stale_lease")
    assert [answer.status_code for answer in of_tasks(owner)] == [204, 204]
    assert owner.holding(lease, "heartbeat").status_code == 200


def test_a_join_token_is_good_for_its_pool_its_uses_and_its_time(standing: Standing):
    soon_over = standing.join_token(standing.ours, "late", seconds=1)
    once = standing.join_token(standing.ours, "one-pool")["joinToken"]
    joined = standing.register(once).raise_for_status().json()
    project = standing.ours.project("of one pool")
    placed = standing.runner("other-pool")
    deployment = standing.queue(project, "other-pool")
    misplaced = PlayedRunner(standing.http, joined["runnerId"], joined["runnerKey"])
    for path in ("/run-leases", "/run-leases?pool=other-pool", "/vault-tasks", "/vault-tasks?sweeps=true"):
        assert misplaced.call(path, {"pool": "other-pool"}).status_code == 204
    assert standing.ours.call("GET", f"/environments/deployments/{deployment}")["status"] == "QUEUED"
    assert placed.given("/run-leases")["run"]["deploymentId"] == deployment

    expires_at = datetime.fromisoformat(soon_over["expiresAt"])
    wait_until(lambda: datetime.now(UTC) > expires_at, "the token has expired")
    ((status, code, _),) = refusals(map(standing.register, (once, soon_over["joinToken"], "rpj_unknown")))
    assert (status, code) == (401, "unauthenticated")


def test_the_key_of_a_revoked_runner_is_as_good_as_an_unknown_one(standing: Standing):
    pool = "revoked"
    runner = standing.runner(pool)
    lease = standing.begin(standing.ours.project(pool), runner, pool)
    assert runner.holding(lease, "heartbeat").status_code == 200
    standing.ours.call("DELETE", f"/runners/{runner.id}")
    nobody = replace(runner, key="rpr_unknown")
    answers = [
        answer
        for caller in (runner, nobody)
        for answer in (*at_every_door(caller, lease), *map(caller.call, ("/run-leases", "/vault-tasks")))
    ]
    ((status, code, _),) = refusals(answers)
    assert (status, code) == (401, "unauthenticated")


def test_the_tokens_of_a_run_open_none_of_our_own_doors_when_it_is_over(standing: Standing):
    pool, side = "over", standing.vault_side("v1")
    runner = standing.runner(pool)
    lease = standing.begin(side.project, runner, pool)
    login = runner.identity(lease, kind="credential", credentialId=side.credential)["token"]
    tokens = [runner.on_demand(lease, ELSEWHERE), runner.identity(lease, kind="job")["token"], login]
    runner.holding(lease, "finish", outcome="success").raise_for_status()
    public = {entry["route"] for entry in tomllib.loads(PUBLIC.read_text())["route"]}
    opened = []
    for route in set(routes(build_app(standing.parts))) - public:
        method, path = route.split(" ")
        path = re.sub(r"{[a-z_]+}", lease["leaseId"], path)
        for token in (*tokens, lease["idTokenRequestToken"]):
            body = REGISTRATION if path.endswith("/register") else None
            answer = standing.http.request(method, path, json=body, headers=shown_everywhere(token))
            opened += [] if is_closed(path, answer) else [(route, answer.status_code)]
    assert opened == []
    ((status, _, _),) = refusals(at_every_door(runner, lease))
    assert status == 409
