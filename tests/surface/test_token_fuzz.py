"""Spoiled tokens, headers and requests at the doors that take tokens: no 5xx, and none is accepted."""

import os
import secrets
from random import Random

from runpass.server.issuer.publishable import public_pem
from runpass.server.relying_parties.door import INACTIVE
from surface_scene import Server, basic_of
from token_fuzz import FORM, Asker, Request, Spoiler

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
AUDIENCE = "https://sts.example.com"


def test_no_spoiled_request_is_accepted_and_none_breaks_the_server(server: Server):
    seed = os.environ.get("FUZZ_SEED") or secrets.token_hex(8)
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
    random = Random(seed)  # noqa: S311 -- the same again from the same seed
    spoiler = Spoiler(random, token, public_pem(server.parts.ring.current.keys[0].public_jwk))
    asker = Asker(random, spoiler, as_client.encode(), as_job.encode(), lease)
    seen = set()
    for number in range(EXAMPLES):
        request = random.choice((asker.introspection, asker.introspection, asker.identity))()
        answer = client.request(
            request.method, request.path, headers=dict(request.headers), content=request.body, params=request.query
        )
        seen.add((request.path.split("/")[1], answer.status_code))
        assert is_refused(request, answer.status_code, answer.content), (
            f"seed {seed}, request {number}: {answer.status_code} {answer.content[:200]!r} for {request}"
        )
    assert counts()  # it was the right one all the time
    assert {("introspect", 200), ("introspect", 401), ("id-token", 401)} <= seen


def is_refused(request: Request, status: int, body: bytes) -> bool:
    if request.path == "/introspect" and status == 200:
        return body == INACTIVE
    return 400 <= status < 500
