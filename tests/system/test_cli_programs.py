"""The programs themselves: `server`, `init`, `migrate`, the OpenAPI document, an installation without the server."""

import json
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from programs import Program, clean_environment, run_cli, running_server, start_server
from runpass.cli import exits
from runpass.local.openbao import free_port

ROOT = Path(__file__).parents[2]
HEAVY = ("sqlalchemy", "granian", "fastapi", "starlette", "pydantic", "httpx2", "rich.table", "cryptography")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("programs")) as started:
        yield started


def python(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], env=clean_environment(), capture_output=True, text=True, check=False
    )


def test_help_loads_no_server_no_http_and_no_validation():
    script = f"""
import sys
from typer.testing import CliRunner
from runpass.cli.main import app
result = CliRunner().invoke(app, ["--help"])
print(result.exit_code, [name for name in {HEAVY!r} if name in sys.modules])
"""
    assert python(script).stdout == "0 []\n"


def test_without_the_server_extra_a_sentence_says_what_to_install():
    blocked = (
        "import sys; sys.modules.update(dict.fromkeys(['sqlalchemy', 'granian', 'fastapi', 'starlette', 'alembic']))"
    )
    start = f"{blocked}; sys.argv[0] = 'runpass'; from runpass.cli.main import main; main()"
    for command in (["server"], ["init", "--organization", "x"], ["migrate"], ["server", "--print-openapi"], ["demo"]):
        done = python(start, *command)
        assert done.returncode == exits.USAGE, done.stderr
        assert done.stderr == "error: this needs runpass[server]: pip install 'runpass[server]'\n"
    assert python(start, "version").returncode == 0
    refused = python(start, "runner", "--url", "http://127.0.0.1:9", "--state-dir", "/nonexistent/state")
    assert "runpass[server]" not in refused.stderr
    shown = python(start, "settings", "show", "--program", "server")
    assert shown.returncode == 0, shown.stderr


def test_an_unexpected_error_is_a_sentence_and_debug_its_traceback():
    script = """
import sys
from runpass.cli import connecting, project
def broken(): raise LookupError("canary")
project.connected = broken
from runpass.cli.main import main
main()
"""
    quiet = python(script, "project", "list")
    assert (quiet.returncode, quiet.stdout) == (exits.OTHER, "")
    assert quiet.stderr.startswith("error: something unexpected went wrong (LookupError)\nhint: ")
    assert "Traceback" in python(script, "--debug", "project", "list").stderr


def test_init_works_while_the_server_runs_and_once_for_each_name(server):
    done = run_cli("init", "--organization", "globex", "--json", environment=server.environment)
    assert done.stdout.count("\n") == 1
    assert set(json.loads(done.stdout)) == {"organizationId", "apiKeyId", "apiKeySecret"}
    again = run_cli("init", "--organization", "globex", environment=server.environment, check=False)
    assert (again.returncode, again.stdout) == (exits.CONFLICT, "")
    assert "there already" in again.stderr


def test_init_tells_a_person_that_the_secret_is_shown_once(server):
    done = run_cli("init", "--organization", "initech", environment=server.environment)
    assert "API key secret   rps_" in done.stdout
    assert "shown once" in done.stderr


def test_init_writes_a_key_file_that_works(server, tmp_path):
    file = tmp_path / "key.json"
    made = run_cli("init", "--organization", "hooli", "--output", str(file), environment=server.environment)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["apiKeySecret"] not in made.stdout + made.stderr
    shown = run_cli("organization", "show", environment=server.client_environment(api_key_file=file))
    assert "hooli" in shown.stdout
    refused = run_cli(
        "init", "--organization", "other", "--output", str(file), environment=server.environment, check=False
    )
    assert refused.returncode == exits.CONFLICT
    assert run_cli("init", "--organization", "other", "--json", environment=server.environment).returncode == 0


def test_init_before_the_first_start_makes_the_database(tmp_path):
    made = run_cli("init", "--organization", "early", "--data-dir", str(tmp_path / "data"), "--json")
    key = json.loads(made.stdout)
    with running_server(tmp_path, data_dir=tmp_path / "data") as server, server.http() as http:
        answer = http.get("/api/organizations", auth=(key["apiKeyId"], key["apiKeySecret"]))
    assert answer.json()[0]["name"] == "early"


def test_init_refuses_a_name_that_no_answer_could_show(tmp_path):
    data = tmp_path / "data"
    for name in ("", " ", "two\nlines", "x" * 256):
        refused = run_cli("init", "--organization", name, "--data-dir", str(data), check=False)
        assert refused.returncode == exits.USAGE
    assert not data.exists()


def test_a_server_that_cannot_start_says_why_in_one_line(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    refused = run_cli("server", "--data-dir", str(data), check=False)
    assert refused.returncode == exits.USAGE
    assert (
        refused.stderr == f"error: the directory {data} is open to others (mode 0755)\nhint: run: chmod 0700 {data}\n"
    )


def test_all_bad_settings_of_a_server_are_named_at_once():
    refused = run_cli(
        "server", "--listen-port", "99999", "--log-level", "loud", "--settings", "/nonexistent", check=False
    )
    assert "/nonexistent" in refused.stderr
    refused = run_cli("server", "--listen-port", "99999", "--log-level", "loud", check=False)
    assert refused.returncode == exits.USAGE
    assert all(text in refused.stderr for text in ("listen_port", "log_level", "from option"))
    assert "99999" not in refused.stderr


def test_options_beat_the_environment_and_a_term_signal_ends_the_server(tmp_path):
    port, other = free_port(), free_port()
    environment = clean_environment(data_dir=tmp_path / "data", listen_port=other)
    with start_server(tmp_path, port=port, data_dir=tmp_path / "data") as server:
        server.program.send(signal.SIGTERM)
        assert server.program.wait() == 0
    program = Program(["server", "--listen-port", str(port)], environment=environment, log=tmp_path / "second.log")
    try:
        with server.http() as http:
            program.wait_until(lambda: _answers(http), "the server answers on the port of the option")
    finally:
        program.stop()
    assert program.exit_code == 0


def _answers(http):
    try:
        return http.get("/healthz").status_code == 200
    except Exception:  # noqa: BLE001 -- not there yet
        return False


def test_migrate_says_from_where_to_where(tmp_path):
    data = tmp_path / "data"
    first = run_cli("migrate", "--data-dir", str(data)).stdout
    assert first.startswith("empty -> ")
    newest = first.split()[-1]
    assert run_cli("migrate", "--data-dir", str(data)).stdout == f"already at {newest}\n"
    with sqlite3.connect(data / "runpass.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'unknown'")
    database.close()
    refused = run_cli("migrate", "--data-dir", str(data), check=False)
    assert refused.returncode == exits.USAGE
    assert "newer than this version" in refused.stderr


def test_the_openapi_document_has_the_paths_that_clients_write_and_is_stable():
    done = run_cli("server", "--print-openapi")
    document = json.loads(done.stdout)
    assert all(path.startswith("/api/") for path in document["paths"])
    assert "/api/environments/{environment_id}/deployments" in document["paths"]
    assert done.stdout == json.dumps(document, indent=2, sort_keys=True) + "\n"
