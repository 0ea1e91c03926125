"""What is said about a wrong message: a sentence for each field, and never what was sent."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from runpass.errors import InvalidInput, InvalidJson
from runpass.ids import UUID
from runpass.protocol.reports import Finish, LogEvent, Outcome, Report, Step, StepStatus
from runpass.protocol.wire import Moment, Record, decode, invalid_input, to_camel
from runpass.server.http.wire import ApiModel, Count, Flag, LongText, Name, rfc3339


class Odd(Record):
    text: Annotated[str, Field(min_length=1, max_length=5)] = "x"
    flag: Flag = True
    count: Annotated[Count, Field(ge=1, le=9)] = 1
    above: Annotated[float, Field(gt=0, lt=1)] = 0.5
    uuid: UUID | None = None
    kind: Literal["a", "b"] = "a"
    status: Outcome = Outcome.SUCCESS
    some: Annotated[tuple[int, ...], Field(min_length=1, max_length=2)] = (1,)
    at: Moment | None = None
    inner: Step | None = None
    name: Name = "x"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("text", 7, "must be a string"),
        ("text", "canary", "is longer than 5 characters"),
        ("text", "", "must not be empty"),
        ("name", "", "must not be empty"),
        ("name", "x" * 256, "is longer than 255 characters"),
        ("flag", "true", "must be true or false"),
        ("flag", 1, "must be true or false"),
        ("count", "1", "must be a whole number"),
        ("count", 1.5, "must be a whole number"),
        ("count", True, "must be a whole number"),
        ("count", 0, "must be at least 1"),
        ("count", 10, "must be at most 9"),
        ("above", 0, "must be more than 0.0"),
        ("above", 1, "must be less than 1.0"),
        ("uuid", "canary", "must be a UUID"),
        ("uuid", 7, "must be a UUID"),
        ("kind", "canary", "must be one of 'a' or 'b'"),
        ("some", "canary", "must be a list"),
        ("some", [], "has fewer than 1 items"),
        ("some", [1, 2, 3], "has more than 2 items"),
        ("at", "canary", "must be a date and time (RFC 3339)"),
        ("at", "2026-01-02T03:04:05", "must be a date and time with its zone (RFC 3339)"),
        ("at", "0001-01-01T00:00:00+14:00", "is out of range"),
        ("inner", "canary", "must be an object"),
    ],
)
def test_every_mistake_has_its_sentence(field: str, value: Any, sentence: str):
    with pytest.raises(ValidationError) as error:
        Odd.model_validate({field: value})
    found = invalid_input(error.value, prefix="here.")
    assert [(item.field, item.message) for item in found.errors] == [(f"here.{field}", sentence)]
    assert "canary" not in str(error.value)
    assert "canary" not in found.message


def test_a_status_that_is_unknown_is_told_which_there_are():
    with pytest.raises(InvalidInput, match="status: must be one of 'success', 'failure'"):
        decode(Odd, b'{"status": "canary"}')


def test_places_inside_are_named_with_dots_and_wire_names():
    with pytest.raises(InvalidInput) as error:
        decode(Report, b'{"fencingToken": 1, "steps": [{"name": "x", "order": -1, "startedAt": "x"}]}')
    assert {item.field for item in error.value.errors} == {"steps.0.order", "steps.0.status", "steps.0.startedAt"}


@pytest.mark.parametrize("body", [b"", b"{", b"canary", b"\xff", b'{"text": "\\ud800"}', b"[" * 10_000])
def test_a_body_that_is_not_json_is_told_so_and_not_repeated(body: bytes):
    with pytest.raises(InvalidJson) as error:
        decode(Odd, body)
    assert error.value.message == "the body is not valid JSON"


def test_names_on_the_wire_are_camel_case_as_env0_spells_them():
    assert [to_camel(name) for name in ("role_name", "k8s_namespace", "id", "is_self_hosted_k8s")] == [
        "roleName",
        "k8sNamespace",
        "id",
        "isSelfHostedK8s",
    ]


def test_moments_are_shown_in_utc_with_milliseconds():
    tokyo = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=9)))
    assert rfc3339(tokyo) == "2026-01-01T18:04:05.678Z"


def test_moments_of_a_report_are_turned_into_utc():
    at = "2026-01-02T03:04:05+09:00"
    event = LogEvent.model_validate({"step": "s", "number": 1, "at": at, "level": "info", "message": ""})
    assert event.at == datetime(2026, 1, 1, 18, 4, 5, tzinfo=UTC)
    assert event.at.tzinfo is UTC


def test_a_log_event_has_a_number_that_every_database_can_hold():
    event = {"step": "s", "at": "2026-01-02T03:04:05Z", "level": "info", "message": ""}
    assert LogEvent.model_validate(event | {"number": 2**31 - 1})
    with pytest.raises(ValidationError):
        LogEvent.model_validate(event | {"number": 2**31})


def test_text_of_a_run_is_made_storable_and_not_refused():
    assert Finish(fencing_token=1, outcome=Outcome.FAILURE, error="a\x00b").error == "a\ufffdb"
    assert Step(name="a\x00", order=1, status=StepStatus.FAIL).name == "a\ufffd"


class Body(ApiModel):
    name: Name = "x"
    text: LongText = ""


@pytest.mark.parametrize("value", ["canary\x00", "canary\n", "canary\x1b[2J", "canary\x7f", "canary\x85"])
def test_a_name_has_no_control_characters(value: str):
    with pytest.raises(ValidationError) as error:
        Body.model_validate({"name": value})
    assert "canary" not in str(error.value)
    assert [item.message for item in invalid_input(error.value).errors] == ["must not contain control characters"]


def test_a_text_may_have_lines_but_no_nul():
    assert Body.model_validate({"text": "a\nb\t"}).text == "a\nb\t"
    with pytest.raises(ValidationError):
        Body.model_validate({"text": "a\x00"})


class Many(Record):
    """A list with a limit, also where it may be null."""

    numbers: Annotated[tuple[int, ...], Field(max_length=30)] | None = None


def test_of_many_errors_the_first_are_named_and_the_others_counted():
    with pytest.raises(InvalidInput) as error:
        decode(Many, json.dumps({"numbers": ["x"] * 25}).encode())
    assert len(error.value.errors) == 20
    assert error.value.message.endswith("numbers.19: must be a whole number; and 5 more")


def test_a_list_beyond_its_limit_costs_no_more_than_one_of_just_that():
    with pytest.raises(InvalidInput) as error:
        decode(Many, json.dumps({"numbers": ["x"] * 100_000}).encode())
    assert error.value.message.endswith("and 11 more")
    with pytest.raises(InvalidInput, match="numbers: has more than 30 items"):
        decode(Many, json.dumps({"numbers": [1] * 31}).encode())
    assert decode(Many, json.dumps({"numbers": [1] * 30}).encode()).numbers == (1,) * 30
