"""`runpass environment ttl` says exactly one thing."""

import pytest
from typer.testing import CliRunner

from runpass.cli.main import app


@pytest.mark.parametrize("options", [[], ["--hours", "1", "--infinite"], ["--hours", "1", "--until", "2030-01-01"]])
def test_a_lifespan_is_said_in_one_way(options: list[str]):
    result = CliRunner().invoke(app, ["environment", "ttl", "web", *options])
    assert result.exit_code == 2
    assert "say one of --hours, --until and --infinite" in result.stderr
