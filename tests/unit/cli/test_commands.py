"""What holds of every command: no secret in an argument, a sentence for each, JSON for programs."""

import json
import re
import stat

import pytest
import typer
from typer.testing import CliRunner

from runpass.cli.main import app
from runpass.cli.programs import without_password
from runpass.cli.reference import commands
from runpass.cli.secret_files import check_writable, read_secret, write_secret_file
from runpass.errors import ConfigurationError, Conflict, InvalidInput

EVERY = list(commands(typer.main.get_command(app)))
LEAVES = [(words, command) for words, command in EVERY if words]
SECRETS = re.compile(r"token|secret|password|passphrase|credential-value|api-key|private-key|\bkey\b", re.IGNORECASE)
HARMLESS = {"--tls-key": "a path", "--token-format": "a format's name", "--secret-namespace": "a namespace's name"}

FILES = {("vault", "explain"): {"--token"}}
"""Options that name a file, or standard input, whatever they are called."""


@pytest.fixture
def run():
    runner = CliRunner()
    return lambda *arguments, **options: runner.invoke(app, list(arguments), **options)


@pytest.mark.parametrize(
    ("words", "command"), LEAVES, ids=lambda item: " ".join(item) if isinstance(item, tuple) else ""
)
def test_no_option_takes_a_secret_as_its_value(words, command):
    for option in command.params:
        takes_value = option.param_type_name == "option" and not option.is_flag
        if takes_value and any(SECRETS.search(name) and not name.endswith("-file") for name in option.opts):
            harmless = set(HARMLESS) | FILES.get(tuple(words), set())
            assert set(option.opts) <= harmless, f"runpass {' '.join(words)} {option.opts}"


def test_the_walk_over_the_commands_finds_them():
    names = {" ".join(words) for words, _ in EVERY}
    assert {
        "server",
        "runner",
        "init",
        "deployment start",
        "vault setup",
        "settings show",
        "join-token create",
    } <= names


def test_every_command_and_option_has_a_sentence():
    for words, command in LEAVES:
        assert command.help, words
        assert all(option.help for option in command.params), words


def test_every_list_and_show_has_json():
    for words, command in LEAVES:
        if words[-1] in {"list", "show"}:
            assert any("--json" in option.opts for option in command.params), words


def test_help_lists_the_groups(run):
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("server", "runners", "deployment", "demo", "up"))


def test_the_version_is_printed(run):
    assert re.fullmatch(r"runpass \d+\.\d+\.\d+\n", run("version").stdout)
    assert set(json.loads(run("version", "--json").stdout)) == {"version"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:pass@host/db",
        "postgresql://user:p@ss/word@host/db",
        "postgresql://host/db?password=pass",
        "postgresql://host/db?sslmode=require&PASSWORD=pass",
    ],
)
def test_a_database_url_with_a_password_is_no_argument(url, run):
    with pytest.raises(InvalidInput):
        without_password(url)
    result = run("server", "--database-url", url)
    assert result.exit_code == 2
    assert "pass@" not in result.stderr
    assert "RUNPASS_DATABASE_URL" in result.stderr


@pytest.mark.parametrize("url", ["sqlite:////var/lib/x.db", "postgresql://user@host:5432/db?sslmode=require"])
def test_a_database_url_without_one_is_fine(url):
    assert without_password(url) == url


def test_the_value_of_a_sensitive_variable_is_no_argument(run):
    result = run("variable", "set", "TOKEN", "--sensitive", "--value", "canary")
    assert result.exit_code == 2
    assert "canary" not in result.output


def test_an_error_is_one_line_and_a_hint(run):
    result = run("project", "list", env={"RUNPASS_API_KEY_FILE": "", "RUNPASS_API_KEY_ID": ""})
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0] == "error: there is no API key"
    assert lines[1].startswith("hint: ")
    assert result.stdout == ""


def test_debug_gives_the_traceback(run):
    result = run("--debug", "project", "list", env={"RUNPASS_API_KEY_FILE": "", "RUNPASS_API_KEY_ID": ""})
    assert isinstance(result.exception, ConfigurationError)


def test_a_secret_file_is_new_and_its_owners_alone(tmp_path):
    path = tmp_path / "token"
    write_secret_file(path, "s3cret\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Conflict):
        write_secret_file(path, "other")
    assert path.read_text() == "s3cret\n"


def test_a_secret_that_could_not_be_written_is_not_made(tmp_path):
    (tmp_path / "there").touch()
    with pytest.raises(Conflict):
        check_writable(tmp_path / "there")
    with pytest.raises(ConfigurationError):
        check_writable(tmp_path / "absent" / "file")


def test_a_secret_from_a_file_loses_one_newline_and_nothing_else(tmp_path):
    path = tmp_path / "value"
    path.write_bytes(b" two lines\n\r\n")
    assert read_secret(path, "value").reveal() == " two lines\n"


def test_a_secret_that_is_not_text_is_refused_without_being_shown(tmp_path):
    path = tmp_path / "value"
    path.write_bytes(b"canary\xff")
    with pytest.raises(InvalidInput) as caught:
        read_secret(path, "value")
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_settings_of_one_program_are_shown_with_their_sources(run, tmp_path):
    file = tmp_path / "server.toml"
    file.write_text('listen_port = 9000\ndatabase_url = "postgresql://me:p@ss/word@db.example/x?password=canary"\n')
    environment = {"RUNPASS_MASTER_KEY": "ab" * 32, "RUNPASS_LOG_LEVEL": "debug"}
    result = run("settings", "show", "--program", "server", "--settings", str(file), "--json", env=environment)
    rows = {row["name"]: (row["value"], row["source"]) for row in json.loads(result.stdout)}
    assert rows["listen_port"] == ("9000", str(file))
    assert rows["log_level"] == ("debug", "environment")
    assert rows["master_key"] == ("[secret]", "environment")
    assert rows["database_url"][0] == "postgresql://me:[secret]@db.example/x?[secret]"
    assert not re.search(r"canary|ss/word|abab", result.output)


def test_bad_settings_of_one_program_are_an_error_and_of_three_a_remark(run):
    environment = {"RUNPASS_CAPACITY": "many", "RUNPASS_URL": "http://127.0.0.1:1"}
    one = run("settings", "show", "--program", "runner", env=environment)
    assert one.exit_code == 2
    assert "RUNPASS_CAPACITY" in one.stderr
    three = run("settings", "show", env=environment)
    assert three.exit_code == 0
    assert "listen_port" in three.stdout
    assert "RUNPASS_CAPACITY" in three.stderr
