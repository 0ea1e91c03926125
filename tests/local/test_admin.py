"""How an admin waits for a deployment, at a server that wants to be asked later."""

from contextlib import closing

import pytest

from fake_servers import answering, http
from runpass.errors import TooManyRequests
from runpass.local.admin import Admin
from runpass.secret import Secret

ENOUGH = '{"message": "too many requests", "code": "too_many_requests", "requestId": "r1", "errors": []}'


def test_a_wait_that_the_server_makes_longer_than_its_patience_ends_at_once():
    with answering(http(429, ENOUGH, "Retry-After: 3600")) as server:
        admin = Admin(server.address, "organization", "key", Secret("secret"))
        with closing(admin), pytest.raises(TooManyRequests) as caught:
            admin.wait("deployment")
    assert caught.value.retry_after_seconds == 3600
    assert len(server.requests) == 1
