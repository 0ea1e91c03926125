"""How many runners of one organization may wait at a server process."""

from contextlib import ExitStack
from uuid import uuid4

import pytest

from runpass.errors import TooManyRequests
from runpass.ids import OrganizationId
from runpass.server.deployments.runner_door import Waiting

OURS, THEIRS = OrganizationId(uuid4()), OrganizationId(uuid4())


def test_one_too_many_is_told_when_to_come_back_and_others_are_not_in_its_way():
    waiting = Waiting(2)
    with ExitStack() as going:
        for _ in range(2):
            going.enter_context(waiting.one_of(OURS))
        with pytest.raises(TooManyRequests) as error, waiting.one_of(OURS):
            pytest.fail("a third one waits")
        assert error.value.retry_after_seconds >= 1
        with waiting.one_of(THEIRS):
            pass
    with waiting.one_of(OURS), waiting.one_of(OURS):
        pass


def test_who_goes_leaves_room_however_it_ended():
    waiting = Waiting(1)
    with pytest.raises(ZeroDivisionError), waiting.one_of(OURS):
        _ = 1 / 0
    with waiting.one_of(OURS):
        pass
