import json

import structlog

from runpass.ids import new_id
from runpass.observability.logging import configure, hide_secrets, told_on_standard_error
from runpass.secret import PLACEHOLDER, Secret


def test_no_secret_leaves_in_a_log_line_however_deep_it_is(capsys):
    configure()
    try:
        who = new_id()
        structlog.get_logger().info(
            "event", token=Secret("value"), deep={"list": [Secret("value"), {"k": (Secret("value"),)}]}, who=who
        )
    finally:
        structlog.reset_defaults()
    line = capsys.readouterr().err
    assert "value" not in line
    assert PLACEHOLDER in json.loads(line)["token"]
    assert json.loads(line)["who"] == str(who)


def test_what_is_too_deep_to_look_into_is_left_out():
    nested = {"a": {"b": {"c": {"d": {"e": Secret("value")}}}}}
    assert "value" not in str(hide_secrets(None, "info", {"event": nested}))
    assert "[too deep]" in str(hide_secrets(None, "info", {"event": nested}))


def test_what_is_printed_for_programs_holds_no_line_of_the_log_and_nothing_stays_changed(capsys):
    before = structlog.get_config()
    with told_on_standard_error():
        structlog.get_logger().warning("key.withheld")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "key.withheld" in shown.err
    assert structlog.get_config() == before
