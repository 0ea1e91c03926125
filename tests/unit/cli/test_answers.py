"""The server's answers become errors, names become ids."""

import httpx2
import pytest

from runpass.api_client import FINAL, _error
from runpass.cli.connecting import as_id, choose
from runpass.cli.output import cell
from runpass.cli.vault_facts import Named, facts, projects_with
from runpass.errors import (
    AlreadyDestroyed,
    Conflict,
    ControlPlaneError,
    Forbidden,
    InvalidInput,
    NotFound,
    NotOffered,
    PayloadTooLarge,
    PreconditionFailed,
    StaleLease,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from runpass.server.deployments import transitions
from runpass.server.http.errors import STATUS

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
OTHER = "01890a5d-ac96-774b-bcce-b302099a8058"


def answer(status, **body):
    return httpx2.Response(status, json=body)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", Unauthenticated),
        (403, "forbidden", Forbidden),
        (404, "not_found", NotFound),
        (409, "conflict", Conflict),
        (409, "stale_lease", StaleLease),
        (400, "already_destroyed", AlreadyDestroyed),
        (400, "invalid_json", InvalidInput),
        (412, "precondition_failed", PreconditionFailed),
        (413, "payload_too_large", PayloadTooLarge),
        (422, "invalid_input", InvalidInput),
        (429, "too_many_requests", TooManyRequests),
        (501, "not_offered", NotOffered),
        (503, "unavailable", Unavailable),
        (500, "internal", ControlPlaneError),
        (418, "teapot", ControlPlaneError),
    ],
)
def test_an_envelope_becomes_the_error_that_it_means(status, code, kind):
    error = _error(answer(status, message="a sentence", code=code, errors=[], requestId="r1", hint=None))
    assert type(error) is kind
    assert "a sentence" in error.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 1), (None, 1), ("999999999", 3600), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("-3", 1), ("²", 1)],
)
def test_how_long_to_wait_arrives(header, seconds):
    headers = {} if header is None else {"Retry-After": header.encode()}
    body = {"message": "m", "code": "too_many_requests", "errors": [], "requestId": "r1", "hint": "of the server"}
    error = _error(httpx2.Response(429, json=body, headers=headers))
    assert (error.retry_after_seconds, error.hint) == (seconds, f"try again in {seconds} s")


def test_a_proxy_that_was_asked_too_often_is_waited_for_as_well():
    error = _error(httpx2.Response(429, text="<html>", headers={"Retry-After": "7"}))
    assert isinstance(error, TooManyRequests)
    assert (error.retry_after_seconds, error.hint) == (7, "try again in 7 s")


@pytest.mark.parametrize("hint", [{"a": 1}, 7, None])
def test_a_hint_that_is_no_text_is_none(hint):
    assert _error(answer(404, message="m", code="not_found", hint=hint)).hint is None


def test_every_error_of_the_server_has_a_kind_here():
    for kind, status in STATUS:
        expected = InvalidInput if issubclass(kind, InvalidInput) else kind
        assert type(_error(answer(status, message="m", code=kind.code))) is expected


def test_all_bad_fields_arrive():
    fields = [{"field": "name", "message": "is required"}, {"field": "value.address", "message": "must be a URL"}]
    error = _error(answer(422, message="name: is required; ...", code="invalid_input", errors=fields, hint="look"))
    assert isinstance(error, InvalidInput)
    assert [item.field for item in error.errors] == ["name", "value.address"]
    assert error.hint == "look"


def test_the_request_id_of_a_crash_is_the_hint():
    assert _error(answer(500, message="m", code="internal", requestId="abc")).hint == "request id abc"


@pytest.mark.parametrize(
    "response", [httpx2.Response(502, text="<html>"), httpx2.Response(301), answer(404, detail="x")]
)
def test_an_answer_that_is_not_ours_says_so(response):
    error = _error(response)
    assert isinstance(error, ControlPlaneError)
    assert "RUNPASS_URL" in error.hint


def test_whatever_parses_as_a_uuid_is_an_id():
    assert as_id(ID.upper()) == ID
    assert as_id("production") is None


def test_a_name_or_an_id_finds_its_thing():
    things = [{"id": ID, "name": "web"}, {"id": OTHER, "name": "api"}]
    assert choose(things, "api", "project")["id"] == OTHER
    assert choose(things, ID, "project")["name"] == "web"


def test_an_unknown_name_says_what_is_missing():
    with pytest.raises(NotFound, match="no API key of this name") as caught:
        choose([], "nobody", "API key")
    assert caught.value.hint == "runpass api-key list"


def test_an_ambiguous_name_lists_the_ids():
    with pytest.raises(InvalidInput) as caught:
        choose([{"id": ID, "name": "web"}, {"id": OTHER, "name": "web"}], "web", "environment")
    assert ID in caught.value.message
    assert OTHER in caught.value.message


def test_the_final_states_are_the_servers():
    assert {status.value for status in transitions.FINAL} == FINAL


def test_cells_are_one_line_of_safe_text():
    assert cell("a\nb\x1b[2J") == "a\\nb\\x1b[2J"
    assert (cell(None), cell(value=True), cell([1, "x\r"])) == ("", "yes", "1, x\\r")


def test_every_missing_fact_of_the_vault_side_is_named():
    with pytest.raises(InvalidInput) as caught:
        facts(Named(None, None, None, None, None, ()), None)
    assert [item.field for item in caught.value.errors] == [
        "--issuer",
        "--jwks-url",
        "--organization-id",
        "--credential-id",
    ]


def test_the_vault_side_knows_sub_projects_that_inherit_and_not_those_that_replace():
    root, child, replaced, alone = (f"01890a5d-ac96-774b-bcce-00000000000{n}" for n in range(4))
    projects = [
        {"id": root, "hierarchy": root},
        {"id": child, "hierarchy": f"{root}|{child}"},
        {"id": replaced, "hierarchy": f"{root}|{replaced}"},
        {"id": alone, "hierarchy": alone},
    ]
    assigned = {root: ["c1"], child: [], replaced: ["c2"], alone: []}
    assert [str(item) for item in projects_with("c1", projects, assigned)] == [root, child]
