"""The state machine of a deployment."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.errors import Conflict
from runpass.protocol.reports import Outcome
from runpass.server.db.schema.deployments import OCCUPYING as OCCUPYING_IN_SCHEMA
from runpass.server.deployments.model import DeploymentStatus
from runpass.server.deployments.store import OCCUPYING
from runpass.server.deployments.transitions import FINAL, OUTCOMES, TABLE, Event, after, environment_status

EVENTS = st.sampled_from(Event)


def reachable() -> set[DeploymentStatus]:
    found = {DeploymentStatus.QUEUED}
    while more := {end for (start, _), end in TABLE.items() if start in found} - found:
        found |= more
    return found


@given(st.sampled_from(sorted(FINAL)), st.lists(EVENTS, min_size=1, max_size=20))
def test_there_is_no_way_out_of_a_final_state(status: DeploymentStatus, events: Sequence[Event]):
    for event in events:
        with pytest.raises(Conflict):
            after(status, event)


@given(st.lists(EVENTS, max_size=30))
def test_whatever_happens_a_deployment_ends_at_most_once_and_stays_ended(events: Sequence[Event]):
    status = DeploymentStatus.QUEUED
    ends = 0
    for event in events:
        try:
            following = after(status, event)
        except Conflict:
            continue
        assert status not in FINAL
        ends += following in FINAL
        status = following
    assert ends == (status in FINAL)


def test_from_every_state_that_a_deployment_can_be_in_it_can_end():
    ends = {start for (start, _), end in TABLE.items() if end in FINAL}
    assert reachable() - FINAL <= ends


def test_a_deployment_that_runs_can_always_lose_its_runner():
    for status in reachable() & {DeploymentStatus(item) for item in OCCUPYING}:
        assert after(status, Event.LOSE) is DeploymentStatus.INTERNAL_FAILURE
        for outcome in Outcome:
            assert after(status, OUTCOMES[outcome]) in FINAL


def test_the_table_names_only_known_states_and_events():
    for (start, event), end in TABLE.items():
        assert isinstance(start, DeploymentStatus)
        assert isinstance(end, DeploymentStatus)
        assert isinstance(event, Event)
    assert not {start for start, _ in TABLE} & FINAL
    assert {event for _, event in TABLE} == set(Event)


def test_every_outcome_a_runner_can_report_is_an_event():
    assert set(OUTCOMES) == set(Outcome)


def test_a_running_state_occupies_its_environment_in_code_and_schema_alike():
    in_code = ", ".join(f"'{item}'" for item in OCCUPYING)
    assert f"status IN ({in_code})" == OCCUPYING_IN_SCHEMA
    queued = {DeploymentStatus.QUEUED}
    assert {DeploymentStatus(item) for item in OCCUPYING} == set(DeploymentStatus) - FINAL - queued


def test_a_refused_event_says_what_the_deployment_is():
    with pytest.raises(Conflict, match="a deployment that is SUCCESS cannot abort"):
        after(DeploymentStatus.SUCCESS, Event.ABORT)


def test_a_state_that_says_nothing_about_the_environment_leaves_it_as_it_is():
    assert environment_status(DeploymentStatus.QUEUED) is None
    assert environment_status(DeploymentStatus.CANCELLED) is None
    for status in reachable() - {DeploymentStatus.QUEUED, DeploymentStatus.CANCELLED}:
        assert environment_status(status) is not None
