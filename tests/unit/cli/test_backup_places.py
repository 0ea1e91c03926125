"""Where a backup is taken from and put to: a place that is named is never ignored."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from runpass.cli.main import app

OF_SERVER = (("--data-dir", "elsewhere"), ("--settings", "server.toml"), ("--database-url", "sqlite:///x.db"))
OF_UP = (("--data", "elsewhere"), ("--keys", "elsewhere"))


@pytest.mark.parametrize("command", ["backup", "restore"])
@pytest.mark.parametrize(("option", "value"), OF_SERVER)
def test_a_place_of_a_server_goes_without_up(tmp_path: Path, command: str, option: str, value: str):
    done = CliRunner().invoke(app, [command, str(tmp_path / "file"), "--up", option, str(tmp_path / value)])
    assert done.exit_code != 0
    assert "--data and --keys" in str(done.exception) + done.output + str(getattr(done.exception, "hint", ""))


@pytest.mark.parametrize("command", ["backup", "restore"])
@pytest.mark.parametrize(("option", "value"), OF_UP)
def test_a_place_of_up_goes_with_up(tmp_path: Path, command: str, option: str, value: str):
    done = CliRunner().invoke(app, [command, str(tmp_path / "file"), option, str(tmp_path / value)])
    assert done.exit_code != 0
    assert "go with --up" in str(done.exception) + done.output
