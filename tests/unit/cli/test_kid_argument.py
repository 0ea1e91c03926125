"""Ids of keys that begin with a dash."""

import pytest
from typer.testing import CliRunner

from runpass.cli import exits
from runpass.cli.kid_argument import protected
from runpass.cli.main import app

DASHED = "-hQ6Vo83T0PJb_8AROlp_n2Ht6pkkGx-fM_f82jQ5TQ"
TWICE = "--Q6Vo83T0PJb_8AROlp_n2Ht6pkkGx-fM_f82jQ5TQ"
PLAIN = "WWQ6Vo83T0PJb_8AROlp_n2Ht6pkkGx-fM_f82jQ5TQ"


@pytest.mark.parametrize("kid", [DASHED, TWICE])
def test_an_id_that_looks_like_an_option_is_an_argument(kid: str):
    assert protected([kid, "--wait", "1"]) == ["--wait", "1", "--", kid]
    assert protected(["--", kid]) == ["--", kid]


def test_everything_else_stays_as_it_is():
    args = [PLAIN, "--database-url", "sqlite:////var/lib/runpass/x", "-h", DASHED[:-1]]
    assert protected(args) == args


@pytest.mark.parametrize("command", ["compromise", "retire"])
def test_the_commands_take_it_as_it_is_printed(command: str, tmp_path):
    done = CliRunner().invoke(app, ["keys", command, DASHED, "--data-dir", str(tmp_path / "nothing")])
    assert done.exit_code == exits.USAGE
    assert "there is no database" in done.output
