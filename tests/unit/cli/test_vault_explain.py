"""`runpass vault explain`: files in, an explanation out, nothing asked of any server."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from explain_logins import ISSUER, Keys, Login
from programs import run_cli


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    keys, now = Keys(), int(time.time())
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_claims": {"env": "prod"}}
    claims = {"iss": ISSUER, "sub": "run", "aud": "vault", "iat": now, "nbf": now, "exp": now + 60, "env": "prod"}
    login = Login("jwt", role, claims)
    content = {
        "role": json.dumps(role),
        "config": json.dumps({"bound_issuer": ISSUER}),
        "jwks": json.dumps(keys.jwks_document),
        "token": keys.sign(login),
    }
    found = {}
    for name, text in content.items():
        found[name] = tmp_path / f"{name}.txt"
        found[name].write_text(text + "\n")
    return found


def run(files: dict[str, Path], *more: str) -> Any:
    options = [part for name, file in files.items() for part in (f"--{name}", str(file))]
    return run_cli("vault", "explain", *options, "--role-name", "deploy", *more, check=False)


def test_an_accepted_login_ends_with_0_and_says_what_the_token_will_be(files: dict[str, Path]):
    done = run(files, "--json", "--at", str(int(time.time())))
    found = json.loads(done.stdout)
    assert (done.returncode, found["accepted"], found["status"], found["error"]) == (0, True, 200, None)
    assert found["possibleErrors"] == []
    assert all(set(check) == {"name", "passed", "expected", "received", "fix"} for check in found["checks"])
    assert found["token"]["policies"] == ["default"]


def test_a_refused_login_ends_with_1_and_names_the_fix(files: dict[str, Path]):
    files["role"].write_text('{"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["other"]}')
    done = run(files)
    assert done.returncode == 1
    assert done.stdout.startswith("refused: 400 error validating token: invalid audience (aud) claim")
    assert "bao write auth/jwt/role/deploy" in done.stdout
    assert files["token"].read_text().strip() not in done.stdout + done.stderr


def test_null_stands_for_what_is_not_there(files: dict[str, Path]):
    files["role"].write_text("null")
    assert json.loads(run(files, "--json").stdout)["error"] == 'role "deploy" could not be found'
    files["config"].write_text("null")
    assert json.loads(run(files, "--json").stdout)["error"] == "could not load configuration"


def test_the_whole_answer_of_a_read_is_understood_too(files: dict[str, Path]):
    answer = {"request_id": "x", "data": json.loads(files["role"].read_text())}
    files["role"].write_text(json.dumps(answer))
    assert run(files).returncode == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [('{"a": 1,\n "b" 2}', "line 2, column 6"), ("[1]", "neither a JSON object nor null")],
)
def test_a_file_that_is_none_is_named_with_the_place(files: dict[str, Path], content: str, said: str):
    files["config"].write_text(content)
    done = run(files)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--config" in done.stderr
    assert said in done.stderr


def test_another_server_is_none(files: dict[str, Path]):
    done = run(files, "--server", "consul")
    assert (done.returncode, "--server" in done.stderr) == (2, True)
