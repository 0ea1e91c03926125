"""Where somebody stands in a log, as one word: it comes back as it was, or not at all."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.protocol.reports import MAX_NUMBER, StepStatus
from runpass.server.deployments.log_position import UnknownPositionError, position, read_at
from runpass.server.deployments.log_store import StoredStep

NAMES = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=6)


def steps(*names: str) -> list[StoredStep]:
    """Steps that the deployment had in this order, listed the other way round."""
    made = [StoredStep(UUID(int=place), name, 0, StepStatus.SUCCESS, None, None) for place, name in enumerate(names)]
    return made[::-1]


@given(NAMES, NAMES, st.data())
def test_a_position_is_read_as_it_was_written_whatever_steps_came_since(
    names: list[str], more: list[str], data: st.DataObject
):
    read = {name: data.draw(st.integers(0, MAX_NUMBER)) for name in names}
    word = position(steps(*names), read)
    assert word.isascii()
    assert read_at(steps(*names, *(name for name in more if name not in names)), word) == read


@pytest.mark.parametrize("word", ["", "1", "1-", "x-9f86d081884c", "1..2-9f86d081884c", "-1", "1-9F86D081884C\n"])
def test_what_is_no_position_is_none(word: str):
    with pytest.raises(UnknownPositionError):
        read_at(steps("a"), word)


def test_a_position_in_another_log_is_none():
    word = position(steps("a", "b"), {"a": 3, "b": 4})
    for other in (steps("a"), steps("b", "a"), steps("a", "c")):
        with pytest.raises(UnknownPositionError):
            read_at(other, word)
