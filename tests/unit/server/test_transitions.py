"""The state machine of a deployment."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.errors import Conflict
from runpass.protocol.reports import Outcome
from runpass.protocol.run_lease import Phase
from runpass.server.db.schema.deployments import OCCUPYING as OCCUPYING_IN_SCHEMA
from runpass.server.db.schema.deployments import WAITING as WAITING_IN_SCHEMA
from runpass.server.deployments.model import DeploymentStatus, DeploymentType, wire_status
from runpass.server.deployments.store import OCCUPYING, WAITING
from runpass.server.deployments.transitions import (
    FINAL,
    OUTCOMES,
    TABLE,
    Event,
    after,
    environment_after,
    environment_while,
    event_of,
    phase_of,
)
from runpass.server.tenancy.model import EnvironmentStatus

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
    for status in (DeploymentStatus.IN_PROGRESS, DeploymentStatus.ABORTING):
        assert after(status, Event.LOSE) is DeploymentStatus.INTERNAL_FAILURE
        for outcome in Outcome:
            assert after(status, event_of(status, Phase.APPLY, outcome)) in FINAL


def test_the_table_names_only_known_states_and_events():
    for (start, event), end in TABLE.items():
        assert isinstance(start, DeploymentStatus)
        assert isinstance(end, DeploymentStatus)
        assert isinstance(event, Event)
    assert not {start for start, _ in TABLE} & FINAL
    assert {event for _, event in TABLE} == set(Event)


def test_every_outcome_a_runner_can_report_is_an_event():
    assert set(OUTCOMES) == set(Outcome)


def test_exactly_these_things_can_happen():
    """Written out once more: a way that is added to the table by mistake opens a door."""
    ends = ["succeed", "fail", "time-out", "break", "report-as-aborted", "lose-its-runner"]
    can = {
        "QUEUED": {"take", "cancel"},
        "IN_PROGRESS": {*ends, "abort", "go-back-to-the-queue", "go-back-to-the-queue-as-approved"}
        | {"wait-for-an-approval"},
        "WAITING_FOR_USER": {"be-approved", "cancel"},
        "APPROVED": {"take", "cancel"},
        "ABORTING": {*ends, "abort"},
    }
    found: dict[str, set[str]] = {}
    for status, event in TABLE:
        found.setdefault(status.value, set()).add(event.value.replace(" ", "-"))
    assert found == can


def test_only_somebodys_approval_leads_from_a_plan_to_its_apply():
    into = {(start, event) for (start, event), end in TABLE.items() if end is DeploymentStatus.APPROVED}
    assert into == {
        (DeploymentStatus.WAITING_FOR_USER, Event.APPROVE),
        (DeploymentStatus.IN_PROGRESS, Event.RETURN_APPROVED),
    }
    waiting = {end for (start, _), end in TABLE.items() if start is DeploymentStatus.WAITING_FOR_USER}
    assert waiting == {DeploymentStatus.APPROVED, DeploymentStatus.CANCELLED}


@pytest.mark.parametrize("outcome", Outcome)
def test_a_plan_never_makes_a_deployment_a_success(outcome: Outcome):
    for status in (DeploymentStatus.IN_PROGRESS, DeploymentStatus.ABORTING):
        assert after(status, event_of(status, Phase.PLAN, outcome)) is not DeploymentStatus.SUCCESS
    assert event_of(DeploymentStatus.ABORTING, Phase.PLAN, Outcome.SUCCESS) is Event.ABORTED
    assert event_of(DeploymentStatus.IN_PROGRESS, Phase.PLAN, Outcome.SUCCESS) is Event.WAIT


@pytest.mark.parametrize("kind", DeploymentType)
def test_a_deployment_that_requires_approval_begins_with_its_plan(kind: DeploymentType):
    apply = {DeploymentType.DEPLOY: Phase.APPLY, DeploymentType.DESTROY: Phase.DESTROY}
    assert phase_of(kind, requires_approval=True) is (Phase.TASK if kind is DeploymentType.TASK else Phase.PLAN)
    assert phase_of(kind, requires_approval=False) is apply.get(kind, Phase.TASK)


def test_what_is_approved_goes_on_for_env0s_clients():
    shown = {wire_status(status) for status in DeploymentStatus}
    assert shown == set(DeploymentStatus) - {DeploymentStatus.APPROVED}
    assert wire_status(DeploymentStatus.APPROVED) is DeploymentStatus.IN_PROGRESS
    with pytest.raises(Conflict, match="is approved and has no runner yet cannot abort") as refusal:
        after(DeploymentStatus.APPROVED, Event.ABORT)
    assert refusal.value.hint == "cancel it"


def test_a_running_state_occupies_its_environment_in_code_and_schema_alike():
    in_code = ", ".join(f"'{item}'" for item in OCCUPYING)
    assert f"status IN ({in_code})" == OCCUPYING_IN_SCHEMA
    waiting = ", ".join(f"'{item}'" for item in WAITING)
    assert f"status IN ({waiting})" == WAITING_IN_SCHEMA
    queued = {DeploymentStatus.QUEUED}
    assert {DeploymentStatus(item) for item in OCCUPYING} == set(DeploymentStatus) - FINAL - queued


def test_a_refused_event_says_what_the_deployment_is():
    with pytest.raises(Conflict, match="a deployment that is SUCCESS cannot abort"):
        after(DeploymentStatus.SUCCESS, Event.ABORT)


@pytest.mark.parametrize("kind", DeploymentType)
def test_what_was_queued_or_cancelled_says_nothing_about_its_environment(kind: DeploymentType):
    assert environment_while(DeploymentStatus.QUEUED, kind) is None
    assert environment_after(DeploymentStatus.CANCELLED, kind) is None


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_task_makes_nothing_of_its_environment(status: DeploymentStatus):
    assert environment_after(status, DeploymentType.TASK) is None


def test_a_destroy_leaves_an_environment_inactive_and_a_deploy_active():
    assert environment_after(DeploymentStatus.SUCCESS, DeploymentType.DEPLOY) is EnvironmentStatus.ACTIVE
    assert environment_after(DeploymentStatus.SUCCESS, DeploymentType.DESTROY) is EnvironmentStatus.INACTIVE
    assert environment_after(DeploymentStatus.FAILURE, DeploymentType.DESTROY) is EnvironmentStatus.FAILED
