"""Roles of a real OpenBao: what lint reads, and that its fixes mend what it found."""

import json
import shlex
from uuid import UUID

import pytest
from typer.testing import CliRunner

from runpass.cli.main import app
from runpass.vault.desired import Guide, guide
from runpass.vault.errors import MountNotFound, PolicyDenied
from runpass.vault.lint.model import Severity
from runpass.vault.lint.reading import read_facts
from runpass.vault.lint.rules import lint
from runpass.vault.reconcile import setup
from runpass.vault.refusals import RoleNotFound
from throwaway_issuer import AUDIENCE


def codes(client, mount, role=None) -> set[str]:
    return {finding.code for finding in lint(read_facts(client, mount, role).facts) if finding.is_serious}


@pytest.fixture
def state(vault_root, issuer, unique):
    wanted = guide(
        Guide(
            issuer=issuer.url,
            jwks_url=issuer.jwks_url,
            audience=AUDIENCE,
            organization_id=UUID(issuer.facts["organizationId"]),
            credential_id=UUID(issuer.facts["credentialId"]),
            project_ids=(UUID(issuer.facts["projectId"]),),
            role_name="deploy",
            mount=unique("jwt"),
            kv_path=unique("kv"),
        )
    )
    setup(vault_root, wanted)
    return wanted


def test_what_setup_makes_is_clean(vault_root, state):
    reading = read_facts(vault_root, state.auth.path)
    assert [finding.code for finding in lint(reading.facts) if finding.is_serious] == []
    assert reading.unread == ()
    assert set(reading.facts.roles) == {"deploy"}


MENDED = {
    "bound_subject": "left-over",
    "groups_claim": "groups",
    "user_claim": "organizationId",
    "token_explicit_max_ttl": 0,
    "token_no_default_policy": True,
    "token_type": "batch",
    "token_num_uses": 3,
    "clock_skew_leeway": 7200,
    "verbose_oidc_logging": True,
    "token_period": 60,
}
BESIDE = {"token_period": {"token_explicit_max_ttl": 0}}


@pytest.mark.parametrize("parameter", sorted(MENDED))
def test_the_command_of_a_fix_mends_it_and_keeps_the_rest(vault_root, state, parameter):
    mount = state.auth.path
    path = f"auth/{mount}/role/deploy"
    vault_root.write(path, {"role_type": "jwt", parameter: MENDED[parameter], **BESIDE.get(parameter, {})})
    before = vault_root.read(path).data
    commands = [finding.fix for finding in lint(read_facts(vault_root, mount, "deploy").facts) if finding.is_serious]
    assert commands
    for fix in commands:
        words = shlex.split(fix[fix.index("bao write") :])
        assert words[2] == path
        vault_root.write(path, dict(word.split("=", 1) for word in words[3:]))
    assert codes(vault_root, mount, "deploy") == set()
    after = vault_root.read(path).data
    changed = {name for name in after if after[name] != before[name]}
    assert parameter in changed
    assert {"bound_claims", "bound_audiences", "token_policies", "claim_mappings"} & changed == set()


def test_a_bare_role_is_full_of_holes(vault_root, trusting_mount, write_role):
    write_role(token_ttl=None, bound_audiences=["a", "b"], user_claim="iss", token_policies=[])
    assert codes(vault_root, trusting_mount) == {
        "several_audiences", "organization_not_bound", "credential_not_bound", "project_not_bound",
        "api_key_type_not_bound", "shared_identity", "no_ttl", "no_cap",
    }  # fmt: skip


def test_the_mount_the_config_and_policies_are_looked_at_too(vault_root, issuer, state, allow):
    mount = state.auth.path
    vault_root.write(f"auth/{mount}/config", {"jwks_url": issuer.jwks_url})
    vault_root.write(f"sys/mounts/auth/{mount}/tune", {"token_type": "batch", "audit_non_hmac_request_keys": ["jwt"]})
    own = allow(f'path "auth/{mount}/role/*" {{ capabilities = ["create", "update"] }}')
    vault_root.write(f"auth/{mount}/role/deploy", {"role_type": "jwt", "token_policies": [own, "nowhere"]})
    assert codes(vault_root, mount) == {
        "no_bound_issuer", "batch", "token_in_audit_log", "policy_rewrites_roles", "policy_missing",
    }  # fmt: skip


def test_cel_roles_are_found_and_judged(vault_root, trusting_mount):
    program = {"cel_program": {"expression": "claims.organizationId == 'x' ? pb.Auth{policies:['default']} : false"}}
    vault_root.write(f"auth/{trusting_mount}/cel/role/c1", program)
    for role in (None, "c1"):
        assert {"cel_no_audience", "cel_ttl", "credential_not_bound"} <= codes(vault_root, trusting_mount, role)
    assert "organization_not_bound" not in codes(vault_root, trusting_mount)


def test_a_role_that_is_not_there_brings_names_that_are(vault_root, state):
    with pytest.raises(RoleNotFound) as caught:
        read_facts(vault_root, state.auth.path, "deplyo")
    assert caught.value.hint == "Did you mean deploy?"


def test_a_method_that_is_not_there_is_told(vault_root):
    with pytest.raises(MountNotFound):
        read_facts(vault_root, "no-such-mount", "deploy")
    with pytest.raises(MountNotFound):
        read_facts(vault_root, "no-such-mount")


def test_what_the_token_may_not_read_is_said_and_not_judged(vault_root, state, allow, token_with):
    mount = state.auth.path
    client = token_with(allow(f'path "auth/{mount}/role/deploy" {{ capabilities = ["read"] }}'))
    reading = read_facts(client, mount, "deploy")
    assert lint(reading.facts) == ()
    assert {line.partition(":")[0].split()[0] for line in reading.unread} == {"how", "config", "policy"}
    with pytest.raises(PolicyDenied):
        read_facts(client, mount)
    with pytest.raises(PolicyDenied):
        read_facts(token_with("default"), mount, "deploy")


def test_a_config_that_hangs_with_its_issuer_leaves_the_rest(vault_root, own_issuer, state):
    vault_root.write(f"auth/{state.auth.path}/config", {"bound_issuer": "x/", "jwks_url": own_issuer.jwks_url})
    own_issuer.status = 500
    assert read_facts(vault_root, state.auth.path, "deploy").facts.roles


@pytest.fixture
def run(openbao):
    def run(*arguments: str, code: int, token: str | None = None) -> str:
        environment = {"BAO_TOKEN": token or openbao.root_token.reveal(), "COLUMNS": "200"}
        result = CliRunner().invoke(app, ["vault", "lint", *arguments], env=environment)
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_the_command_prints_findings_and_its_exit_code_tells_them(run, openbao, vault_root, state, tmp_path):
    where = ("--address", openbao.address, "--mount", state.auth.path, "--role", "Deploy")
    assert "notice" in run(*where, code=0)
    path = f"auth/{state.auth.path}/role/deploy"
    vault_root.write(path, {"role_type": "jwt", "user_claim": "iss"})
    said = run(*where, code=1)
    assert "error    shared_identity  auth/" in said
    assert "fix: Use environmentId. bao write" in said
    content = json.loads(run(*where, "--json", code=1))
    assert {"code", "severity", "where", "reason", "fix"} == set(content["findings"][0])
    assert content["findings"][0]["severity"] == Severity.ERROR.value
    role, config = tmp_path / "deploy.json", tmp_path / "config.json"
    role.write_text(json.dumps(dict(vault_root.read(path).data)))
    config.write_text(json.dumps(dict(vault_root.read(f"auth/{state.auth.path}/config").body)))
    offline = ("--role-file", str(role), "--config-file", str(config), "--mount", state.auth.path)
    found = json.loads(run(*offline, "--json", code=1))
    assert found["findings"] == content["findings"]
    assert found["notRead"] == ["--tuning-file: not given"]


def test_the_commands_mistakes_are_told(run, openbao, tmp_path):
    broken = tmp_path / "role.json"
    broken.write_text('{"token_ttl": []}')
    assert "--role-file: token_ttl must be a number" in run("--role-file", str(broken), code=2)
    assert "--address is required" in run(code=2)
    assert "is not used with files" in run("--role-file", str(broken), "--address", openbao.address, code=2)
    assert "does not accept the token" in run("--address", openbao.address, code=7, token="s.wrong")
    assert "cannot be read" in run("--role-file", str(tmp_path / "none.json"), code=2)
