"""The programs themselves: `server`, `init`, `migrate`, the OpenAPI document, an installation without the server."""

import json
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from programs import Program, clean_environment, run_cli, running_server, wait_until
from runpass.cli import exits
from runpass.local.openbao import free_port

HEAVY = ("sqlalchemy", "granian", "fastapi", "starlette", "pydantic", "httpx2", "rich.table", "cryptography")


@pytest.fixture(scope="module")
def server(cli_server):
    return cli_server


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
    script = """
import json, sys
sys.modules.update(dict.fromkeys(["sqlalchemy", "granian", "fastapi", "starlette", "alembic", "re2"]))
from typer.testing import CliRunner
from runpass.cli.main import app
results = [CliRunner().invoke(app, words) for words in json.loads(sys.argv[1])]
print(json.dumps([(result.exit_code, result.stderr) for result in results]))
"""
    need_it = [["server"], ["init", "--organization", "x"], ["migrate"], ["server", "--print-openapi"], ["demo"]]
    do_not = [
        ["version"],
        ["settings", "show", "--program", "server"],
        ["runner", "--url", "http://127.0.0.1:9", "--state-dir", "/proc/no"],
    ]
    results = json.loads(python(script, json.dumps([*need_it, *do_not])).stdout)
    sentence = "error: this needs runpass[server]: pip install 'runpass[server]'\n"
    assert results[: len(need_it)] == [[exits.USAGE, sentence]] * len(need_it)
    assert [code for code, _ in results[len(need_it) :]] == [0, 0, exits.USAGE]
    assert "/proc/no" in results[-1][1]


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


def test_init_writes_a_key_file_that_works(server, shell, tmp_path):
    file = tmp_path / "key.json"
    made = run_cli("init", "--organization", "hooli", "--output", str(file), environment=server.environment)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["apiKeySecret"] not in made.stdout + made.stderr
    assert "hooli" in shell.run("organization", "show", api_key_file=file).stdout


def test_init_makes_nothing_that_it_could_not_hand_over(run, tmp_path):
    data, file = tmp_path / "data", tmp_path / "key.json"
    file.touch()
    run("init", "--organization", "x", "--data-dir", str(data), "--output", str(file), code=exits.CONFLICT)
    for name in ("", " ", "two\nlines", "x" * 256):
        run("init", "--organization", name, "--data-dir", str(data), code=exits.USAGE)
    assert not data.exists()


def test_a_server_that_cannot_start_says_why_in_one_line(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    refused = run_cli("server", "--data-dir", str(data), check=False)
    assert refused.returncode == exits.USAGE
    assert (
        refused.stderr == f"error: the directory {data} is open to others (mode 0755)\nhint: run: chmod 0700 {data}\n"
    )


def test_all_bad_settings_of_a_server_are_named_at_once(run):
    refused = run("server", "--listen-port", "99999", "--log-level", "loud", code=exits.USAGE)
    assert all(text in refused.stderr for text in ("listen_port", "log_level", "from option"))
    assert "99999" not in refused.stderr


def test_init_comes_before_the_first_start_options_beat_the_environment_and_sigterm_ends_it_well(tmp_path):
    made = run_cli("init", "--organization", "early", "--data-dir", str(tmp_path / "data"), "--json")
    key, port = json.loads(made.stdout), free_port()
    environment = clean_environment(data_dir=tmp_path / "data", listen_port=free_port())
    program = Program(["server", "--listen-port", str(port)], environment=environment, log=tmp_path / "log")
    auth = (key["apiKeyId"], key["apiKeySecret"])
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", auth=auth, trust_env=False) as http:
            program.wait_until(lambda: _answers(http), "the server answers on the port of the option")
            assert http.get("/api/organizations").json()[0]["name"] == "early"
        program.send(signal.SIGTERM)
        assert program.wait() == 0
    finally:
        program.kill()


def _answers(http):
    try:
        return http.get("/healthz").status_code == httpx2.codes.OK
    except httpx2.TransportError:
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


def test_the_openapi_document_has_the_paths_that_clients_write_and_is_stable(run):
    printed = run("server", "--print-openapi").stdout
    document = json.loads(printed)
    assert all(path.startswith("/api/") for path in document["paths"])
    assert "/api/environments/{environment_id}/deployments" in document["paths"]
    assert printed == json.dumps(document, indent=2, sort_keys=True) + "\n"


def test_a_killed_server_leaves_no_worker_behind_on_its_port(tmp_path):
    with running_server(tmp_path) as server:
        workers = _children_of(server.program.pid)
        assert workers
        server.program.send(signal.SIGKILL)  # the program alone, and not its group
        wait_until(lambda: not any(_lives(pid) for pid in workers), "the workers are gone")


def _children_of(pid):
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [child for task in tasks for child in (task / "children").read_text().split()]


def _lives(pid):
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
