"""Secrets planted in every store come out of no answer and no log line."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from factories import MASTER_KEY
from runpass.observability import logging
from surface_asks import asks
from surface_scene import Server, basic

PLANTED = "canary-7c1e"
SHOWN_ONCE = {
    "POST /api/api-keys": "apiKeySecret",
    "POST /api/runners/join-tokens": "joinToken",
    "POST /api/relying-parties": "secret",
}
"""Answers that make a new secret and show it here and never again."""


def secrets(server: Server) -> dict[str, str]:
    """Give everything that must not be seen, by what it is."""
    found = {"sensitive variable": PLANTED, "master key": MASTER_KEY.hex()}
    private = server.parts.ring.signing.private_key.private_numbers()
    found |= {"signing key": str(private.d), "signing key in hex": f"{private.d:x}"[:64]}
    for things in (server.ours, server.theirs):
        name = things.tenant.organization.name
        found |= {f"{name}: {role}": key.secret.reveal() for role, key in things.callers.items()}
        found[f"{name}: first key"] = things.tenant.api_secret.reveal()
        found[f"{name}: runner key"] = things.runner.key.reveal()
        found[f"{name}: join token"] = things.join_token.reveal()
        found[f"{name}: relying party's secret"] = things.relying_party.secret.reveal()
        found[f"{name}: lease secret"] = things.lease.lease_secret.reveal()
    return found


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """The log as a server writes it, at its most talkative."""
    before = structlog.get_config()
    written = StringIO()
    monkeypatch.setattr("sys.stderr", written)
    logging.configure("debug")
    yield written
    structlog.configure(**before)


def seen(secrets: dict[str, str], text: str) -> list[str]:
    return [what for what, secret in secrets.items() if secret in text]


def test_no_answer_and_no_log_line_holds_a_secret(server: Server, log: StringIO):
    wrong: list[Any] = []
    found = secrets(server)
    asked = 0
    for ask in asks(server.ours):
        for role in ("Admin", "User", "project Viewer"):
            server.restore()
            headers = None if ask.by_bearer else basic(server.ours.callers[role])
            answer = ask.send(server.client, headers)
            asked += 1
            text = answer.text + repr(answer.headers)
            if ask.by_bearer and ask.route.endswith("/run-leases") and answer.status_code == 200:
                # the run's own sensitive values go to the runner that was given the run, and nowhere else
                text = text.replace(f"{PLANTED}-ours-ENVIRONMENT", "")
            wrong += [(ask.route, role, what) for what in seen(found, text)]
    assert wrong == []
    assert asked > 150
    lines = log.getvalue()
    assert len([json.loads(line) for line in lines.splitlines()]) >= asked
    assert seen(found, lines) == []


def test_a_new_secret_is_shown_once_and_its_log_line_does_not_have_it(server: Server, log: StringIO):
    admin = basic(server.ours.callers["Admin"])
    made = []
    for ask in asks(server.ours):
        if ask.route in SHOWN_ONCE:
            made.append(ask.send(server.client, admin).json()[SHOWN_ONCE[ask.route]])
        if ask.route.endswith("/register"):
            made.append(ask.send(server.client).json()["runnerKey"])
        if ask.route.endswith("/identity-token"):
            made.append(ask.send(server.client).json()["token"])
    assert len(made) == 5
    assert all(len(secret) > 40 for secret in made)
    for ask in asks(server.ours):
        if ask.route.startswith("GET"):
            text = ask.send(server.client, admin).text
            assert not [secret for secret in made if secret in text]
    assert not [secret for secret in made if secret in log.getvalue()]


def test_a_failing_server_logs_no_secret_either(server: Server, log: StringIO):
    admin = basic(server.ours.callers["Admin"])
    for damage in (
        "UPDATE variables SET value_sealed = value_sealed || x'00' WHERE value_sealed IS NOT NULL",
        "UPDATE projects SET tags = '7'",
        "UPDATE deployments SET inputs_sealed = x'01'",
        "ALTER TABLE audit_events RENAME TO audit_events_away",
    ):
        server.restore()
        with server.parts.database.write() as tx:
            tx.exec_driver_sql(damage)
        for ask in asks(server.ours):
            answer = ask.send(server.client, None if ask.by_bearer else admin)
            assert seen(secrets(server), answer.text.replace(f"{PLANTED}-ours-ENVIRONMENT", "")) == []
    assert '"event": "request.crashed"' in log.getvalue()
    assert seen(secrets(server), log.getvalue()) == []


def test_a_sensitive_variable_is_never_given_back(server: Server):
    admin = basic(server.ours.callers["Admin"])
    for scope in ("GLOBAL", "BLUEPRINT", "PROJECT", "ENVIRONMENT"):
        one = server.client.get(f"/api/configuration/{server.ours.ids[f'{scope} variable']}", headers=admin).json()
        assert (one["isSensitive"], one["value"]) == (True, "********")
