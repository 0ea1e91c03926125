"""How much one client may ask, and what it is told when that is too much."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from factories import MovingClock
from runpass.server.http.limiting import ALL_PATHS, KnownCallers, Limits, RequestLimit, is_limited, source

RIGHT, WRONG = "Basic right", "Basic wrong"


class Shop:
    """An application that knows one credential, behind a limit; `ask` gives the status that a client sees."""

    def __init__(self, *, requests: int = 5, failed_logins: int = 3) -> None:
        self.clock = MovingClock()
        self.served = 0
        self.last: dict[str, str] = {}
        self.body: Any = None
        self._limited = RequestLimit(self._serve, self.clock, Limits(requests, 60, failed_logins))

    async def _serve(self, scope: Scope, _: Receive, send: Send) -> None:
        self.served += 1
        status = 200 if dict(scope["headers"]).get(b"authorization") == RIGHT.encode() else 401
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(
        self, path: str = "/api/projects", *, method: str = "GET", by: str = "192.0.2.1", credential: str = RIGHT
    ) -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request"}

        headers = [(b"authorization", credential.encode())]
        scope = {"type": "http", "method": method, "path": path, "client": (by, 0), "headers": headers}
        asyncio.run(self._limited(scope, receive, send))
        self.last = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        self.body = json.loads(sent[1]["body"] or "null")
        return sent[0]["status"]


def test_one_request_too_many_is_refused_with_the_time_to_wait():
    shop = Shop(requests=5)
    assert [shop.ask() for _ in range(6)] == [200] * 5 + [429]
    assert shop.served == 5
    assert shop.last["retry-after"] == "60"
    assert shop.body["code"] == "too_many_requests"
    assert shop.last["content-type"] == "application/json"


def test_after_the_time_it_named_requests_are_taken_again():
    shop = Shop(requests=1)
    shop.ask()
    shop.clock.advance(timedelta(seconds=12.5))
    assert shop.ask() == 429
    wait = int(shop.last["retry-after"])
    shop.clock.advance(timedelta(seconds=wait))
    assert shop.ask() == 200


def test_address_method_and_path_count_apart():
    shop = Shop(requests=1)
    others = [{}, {"by": "192.0.2.2"}, {"method": "POST"}, {"path": "/api/projects/x"}]
    assert [shop.ask(**other) for other in others] == [200] * 4
    assert [shop.ask(**other) for other in others] == [429] * 4


def test_made_up_paths_do_not_get_around_it_and_hurt_nobody_else():
    shop = Shop(requests=5)
    answers = [shop.ask(f"/api/{number}") for number in range(5 * ALL_PATHS + 1)]
    assert answers == [200] * (5 * ALL_PATHS) + [429]
    assert shop.ask("/api/1", by="192.0.2.2") == 200


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 30)), max_size=60))
def test_nobody_gets_more_than_the_limit_in_a_window_and_nobody_less(steps: list[tuple[str, int]]):
    shop = Shop(requests=5)
    began, taken = shop.clock.monotonic(), {"a": 0, "b": 0}
    for path, seconds in steps:
        shop.clock.advance(timedelta(seconds=seconds))
        if shop.clock.monotonic() - began >= 60:
            began, taken = shop.clock.monotonic(), {"a": 0, "b": 0}
        taken[path] += 1
        assert shop.ask(f"/api/{path}") == (200 if taken[path] <= 5 else 429)


def test_an_address_that_guesses_has_to_wait():
    shop = Shop(requests=0, failed_logins=3)
    assert [shop.ask(credential=f"{WRONG}{number}") for number in range(5)] == [401] * 3 + [429] * 2
    assert shop.served == 3
    assert shop.body["message"] == "too many wrong credentials from this address"
    shop.clock.advance(timedelta(seconds=int(shop.last["retry-after"])))
    assert shop.ask(credential=WRONG) == 401


def test_whoever_was_right_before_does_not_pay_for_a_neighbour_who_guesses():
    shop = Shop(requests=0, failed_logins=3)
    assert shop.ask() == 200
    for number in range(10):
        shop.ask(credential=f"{WRONG}{number}")
    assert shop.ask() == 200
    assert shop.ask(by="192.0.2.2", credential=WRONG) == 401


def test_being_right_once_helps_no_other_credential_and_no_other_address():
    shop = Shop(requests=0, failed_logins=1)
    for by in ("192.0.2.1", "192.0.2.2"):
        shop.ask(by=by, credential=WRONG)
    shop.clock.advance(timedelta(seconds=60))
    shop.ask()
    for by in ("192.0.2.1", "192.0.2.2"):
        shop.ask(by=by, credential=WRONG)
    assert shop.ask(credential=WRONG) == 429
    assert shop.ask(by="192.0.2.2") == 429


def test_no_more_right_callers_are_remembered_than_there_is_room_for():
    known = KnownCallers()
    for number in range(5_000):
        known.learn("192.0.2.1", str(number))
    assert sum(known.knows("192.0.2.1", str(number)) for number in range(5_000)) == 4_096
    assert known.knows("192.0.2.1", "4999")


def test_limits_of_zero_limit_nothing():
    shop = Shop(requests=0, failed_logins=0)
    assert {shop.ask(credential=WRONG) for _ in range(200)} == {401}


@pytest.mark.parametrize(
    ("method", "path", "counts"),
    [
        ("GET", "/api/projects", True),
        ("GET", "/api", True),
        ("POST", "/api/nothing/there", True),
        ("POST", "/runner/v1/register", True),
        ("POST", "/introspect", True),
        ("POST", "/runner/v1/run-leases", False),
        ("GET", "/o/00000000-0000-0000-0000-000000000000/.well-known/jwks.json", False),
        ("GET", "/healthz", False),
        ("GET", "/.well-known/jwks.json", False),
        ("GET", "/apis", False),
    ],
)
def test_it_is_for_the_management_api_and_registrations(method: str, path: str, counts: bool):  # noqa: FBT001
    assert is_limited(method, path) is counts
    shop = Shop(requests=1)
    shop.ask(path, method=method)
    assert shop.ask(path, method=method) == (429 if counts else 200)


def test_an_ipv6_subscriber_is_one_client_however_many_addresses_it_uses():
    assert source({"client": ("2001:db8:0:1::1", 0)}) == source({"client": ("2001:db8:0:1:ffff::2", 0)})
    assert source({"client": ("2001:db8:0:2::1", 0)}) != source({"client": ("2001:db8:0:1::1", 0)})
    assert source({"client": ("192.0.2.1", 0)}) == "192.0.2.1"


@pytest.mark.parametrize("client", [None, ("", 0), ("testclient", 0), ("unix:/x", 0)])
def test_clients_without_an_address_are_counted_as_one(client: Any):
    assert source({"client": client}) == ""


def test_a_page_has_a_share_and_only_its_sign_in_counts_as_a_login():
    shop = Shop(requests=9, failed_logins=2)
    assert [shop.ask("/console/", credential="") for _ in range(3)] == [401, 401, 401]
    assert shop.ask("/console/sign-in", credential="") == 401
    assert shop.ask("/console/sign-in", method="POST", credential="") == 429
    assert shop.ask("/console/sign-in", credential="") == 401
    assert [shop.ask("/console/x", credential="") for _ in range(10)] == [401] * 9 + [429]


def test_a_right_key_beside_a_form_buys_no_guess_in_it():
    shop = Shop(failed_logins=2)
    assert shop.ask() == 200
    assert [shop.ask(credential=WRONG) for _ in range(2)] == [401, 401]
    assert shop.ask() == 200
    assert shop.ask("/console/sign-in", method="POST") == 429


def test_a_page_that_anybody_sees_makes_nobody_known():
    shop = Shop(failed_logins=1)
    assert shop.ask("/console/sign-in") == 200
    assert shop.ask(credential=WRONG) == 401
    assert shop.ask(credential="") == 429
    assert shop.ask("/console/sign-in", method="POST", credential="") == 429
