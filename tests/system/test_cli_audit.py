"""`runpass audit`: what an operator does with the audit trail, on a database of their own."""

import json
import sqlite3
from pathlib import Path

import pytest

from runpass.cli import exits


@pytest.fixture
def data(run, tmp_path) -> Path:
    """A data directory with two organizations."""
    for name in ("acme", "globex"):
        run("init", "--organization", name, "--data-dir", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_trail_that_nobody_touched_holds_and_one_that_was_changed_does_not(run, data, tmp_path):
    place = ("--data-dir", str(data))
    kept = run("audit", "verify", "--json", *place).stdout
    reports = json.loads(kept)
    assert [item["holds"] for item in reports] == [True] * 3  # two organizations and the instance
    assert [item["events"] for item in reports] == [1, 2, 2]
    (tmp_path / "kept.json").write_text(kept)
    run("audit", "verify", "--known", str(tmp_path / "kept.json"), *place)

    with sqlite3.connect(data / "runpass.db") as database:
        database.execute("DROP TRIGGER audit_events_never_change")
        database.execute("UPDATE audit_events SET actor = 'nobody' WHERE action = 'api_key.created'")
    database.close()
    broken = run("audit", "verify", *place, code=exits.BROKEN_TRAIL)
    assert broken.stderr.count("event 2 was changed, moved or inserted") == 2
    assert json.loads(run("audit", "verify", "--json", *place, code=exits.BROKEN_TRAIL).stdout)[1]["badSequence"] == 2


def test_a_trail_that_is_shorter_than_it_was_is_found_with_what_was_kept(run, data, tmp_path):
    place = ("--data-dir", str(data))
    kept = json.loads(run("audit", "verify", "--json", *place).stdout)
    kept[0]["lastSequence"] += 1
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    broken = run("audit", "verify", "--known", str(tmp_path / "kept.json"), *place, code=exits.BROKEN_TRAIL)
    assert f"chain {kept[0]['chain']}: event 2 is missing" in broken.stderr
    (tmp_path / "kept.json").write_text('{"no": "list"}')
    run("audit", "verify", "--known", str(tmp_path / "kept.json"), *place, code=exits.USAGE)


def test_an_export_has_one_event_on_each_line_and_is_in_the_trail_itself(run, data):
    place = ("--data-dir", str(data))
    organization = json.loads(run("audit", "verify", "--json", *place).stdout)[1]["chain"]
    lines = run("audit", "export", "--organization", organization, *place).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [item["action"] for item in events] == ["organization.created", "api_key.created", "audit.exported"]
    assert events[2]["actor"].startswith("operator:")
    assert len(run("audit", "export", *place).stdout.splitlines()) == 5 + 1 + 3
    nobody = "01900000-0000-7000-8000-000000000000"
    run("audit", "export", "--organization", nobody, *place, code=exits.NOT_FOUND)
    run("audit", "verify", *place)


def test_pruning_says_how_many_events_went_and_what_is_left_holds(run, data):
    place = ("--data-dir", str(data))
    for wrong in ("yesterday", "2999-01-01"):
        run("audit", "prune", "--before", wrong, *place, code=exits.USAGE)
    assert run("audit", "prune", "--before", "2020-01-01", *place).stdout == "0 events deleted\n"
    with sqlite3.connect(data / "runpass.db") as database:
        (now,) = database.execute("SELECT max(at) FROM audit_events").fetchone()
    database.close()
    assert run("audit", "prune", "--before", f"{now}Z", *place).stdout == "4 events deleted\n"
    assert "checkpoint" not in run("audit", "verify", *place).stderr


def test_there_must_be_a_database_of_this_version(run, tmp_path):
    missing = run("audit", "verify", "--data-dir", str(tmp_path / "none"), code=exits.USAGE)
    assert "there is no database" in missing.stderr
    assert not (tmp_path / "none").exists()
    file = tmp_path / "old.db"
    sqlite3.connect(file).close()
    file.touch()
    old = run("audit", "verify", "--database-url", f"sqlite:///{file}", code=exits.USAGE)
    assert "run: runpass migrate" in old.stderr
