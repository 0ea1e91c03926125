"""Spoiled tokens, headers and requests at the doors that take tokens: no 5xx, and none is accepted."""

import os
import secrets
from collections import Counter
from datetime import timedelta
from random import Random

from sqlalchemy import update

from asgi_client import AsgiClient
from runpass.server.db.schema.deployments import deployments, run_leases
from runpass.server.issuer.publishable import public_pem
from runpass.server.relying_parties.door import INACTIVE
from surface_scene import Server, basic_of
from token_fuzz import FORM, Asker, Request, Spoiler

ROUND = 5_000
"""Requests made from one token: fewer than can be sent while it, and the run, are good."""
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
AUDIENCE = "https://sts.example.com"


def test_no_spoiled_request_is_accepted_and_none_breaks_the_server(server: Server):
    seed = os.environ.get("FUZZ_SEED") or secrets.token_hex(8)
    random = Random(seed)  # noqa: S311 -- the same again from the same seed
    seen: Counter[tuple[str, int]] = Counter()
    for begin in range(0, EXAMPLES, ROUND):
        server.restore()
        go_on(server)
        attack(server, random, min(ROUND, EXAMPLES - begin), f"seed {seed}, from request {begin}", seen)
    assert seen.total() == EXAMPLES
    assert {("introspect", 200), ("introspect", 401), ("id-token", 401)} <= set(seen)


def go_on(server: Server) -> None:
    """Let the run begin now, so that it goes on until the round is over."""
    lease, now = server.ours.lease, server.parts.clock.now()
    with server.parts.database.write() as tx:
        mine = update(run_leases).where(run_leases.c.id == lease.lease_id)
        tx.execute(mine.values(taken_at=now, expires_at=now + timedelta(hours=1)))
        run = update(deployments).where(deployments.c.id == lease.run.deployment_id)
        tx.execute(run.values(started_at=now))


def attack(server: Server, random: Random, requests: int, which: str, seen: Counter[tuple[str, int]]) -> None:
    """Send spoiled requests made from a right token, which is still right afterwards."""
    ours, client = server.ours, server.client
    bearer, lease = ours.lease.id_token_request_token, str(ours.lease.lease_id)
    assert bearer is not None
    party = ours.relying_party
    as_client = basic_of(str(party.party.id), party.secret.reveal())["Authorization"]
    as_job = f"bearer {bearer.reveal()}"
    path, query = f"/id-token/v1/{lease}", {"audience": AUDIENCE}
    token = client.get(path, params=query, headers={"Authorization": as_job}).json()["value"]
    form = {"Authorization": as_client, "Content-Type": FORM}

    def counts() -> bool:
        return bool(client.post("/introspect", content=f"token={token}", headers=form).json()["active"])

    assert counts()
    spoiler = Spoiler(random, token, public_pem(server.parts.ring.current.keys[0].public_jwk))
    asker = Asker(random, spoiler, as_client.encode(), as_job.encode(), lease)
    direct = AsgiClient(server.app)
    for number in range(requests):
        request = random.choice((asker.introspection, asker.introspection, asker.identity))()
        answer = direct.send(request.method, request.path, request.headers, request.body, request.query)
        seen[request.path.split("/")[1], answer.status] += 1
        assert is_refused(request, answer.status, answer.body), (
            f"{which}, {number}: {answer.status} {answer.body[:200]!r} for {request}"
        )
    direct.close()
    assert counts(), "the run ended meanwhile, so nothing of this proves anything"


def is_refused(request: Request, status: int, body: bytes) -> bool:
    if request.path == "/introspect" and status == 200:
        return body == INACTIVE
    return 400 <= status < 500
