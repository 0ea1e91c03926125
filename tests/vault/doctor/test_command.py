"""`runpass vault doctor` as a command, on a real OpenBao."""

import json

import pytest
from typer.testing import CliRunner

from runpass.cli.main import app


@pytest.fixture
def run(openbao, trusting_mount):
    def run(*arguments: str, code: int) -> str:
        options = ("--address", openbao.address, "--mount", trusting_mount, *arguments)
        # A token that stands in the environment is nobody's business here.
        environment = {"BAO_TOKEN": openbao.root_token.reveal(), "COLUMNS": "200"}
        result = CliRunner().invoke(app, ["vault", "doctor", *options], env=environment)
        assert result.exit_code == code, result.output
        assert openbao.root_token.reveal() not in result.output
        return result.output

    return run


def test_without_a_token_it_does_what_it_can_and_says_what_needs_a_runner(run, write_role):
    write_role()
    said = run("--role", "deploy", code=0)
    assert "ok       issuer_keys" in said
    assert "skipped  login" in said
    assert "a runner of the project" in said
    assert "skipped  role_text" in said


def test_with_an_identity_token_it_logs_in_and_with_an_operators_it_reads(run, openbao, issuer, write_role, tmp_path):
    write_role(token_ttl=None)
    identity, operator = tmp_path / "identity", tmp_path / "operator"
    identity.write_text(f"{issuer.token().reveal()}\n")
    operator.write_text(f"{openbao.root_token.reveal()}\n")
    tokens = ("--token-file", str(identity), "--operator-token-file", str(operator))
    content = json.loads(run("--role", "deploy", *tokens, "--path", "nothing/there.x", "--json", code=1))
    checks = {item["check"]: item for item in content["checks"]}
    assert {"check", "verdict", "seen", "nextStep", "explained"} == set(checks["login"])
    assert checks["login"]["verdict"] == "warning"
    assert checks["secret"]["verdict"] == "failed"
    assert "no_ttl" in checks["weak_spots"]["seen"]
    assert checks["revocation"]["seen"] == "the token of this examination is revoked"
    assert identity.read_text().strip() not in str(content)


def test_a_failure_has_its_exit_code_and_its_next_step(run, write_role):
    write_role("deploy-app")
    said = run("--role", "deploy_app", code=1)
    assert "failed   role" in said
    assert "next: Did you mean deploy-app?" in said


def test_a_command_that_mends_stands_on_lines_of_its_own(run, openbao, issuer, write_role, tmp_path):
    write_role(bound_claims={"projectId": "another"})
    identity, operator = tmp_path / "identity", tmp_path / "operator"
    identity.write_text(issuer.token().reveal())
    operator.write_text(openbao.root_token.reveal())
    said = run("--role", "deploy", "--token-file", str(identity), "--operator-token-file", str(operator), code=1)
    assert 'expected "another", got ' in said
    lines = [line.strip() for line in said.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith("bao write auth/"))
    assert "projectId" in lines[start + 1]


def test_mistakes_of_the_command_line_are_told(run, tmp_path):
    assert "cannot be read" in run("--role", "deploy", "--token-file", str(tmp_path / "none"), code=2)
