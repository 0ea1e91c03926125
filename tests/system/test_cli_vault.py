"""`runpass vault setup` on a real OpenBao: by hand, from the server's facts, as commands; a second time nothing."""

import os
import subprocess
from uuid import uuid4

import pytest

from programs import clean_environment, run_cli
from runpass.cli import exits
from runpass.local.openbao_binary import find_binary


@pytest.fixture
def places(unique):
    """Where everything is put; no other test uses these names."""
    return {"--mount": unique("jwt"), "--role": unique("role"), "--kv-path": unique("kv"), "--policy": unique("policy")}


@pytest.fixture
def words(places):
    return [word for pair in places.items() for word in pair]


@pytest.fixture
def setup(shell, openbao, words, tmp_path):
    token = tmp_path / "operator-token"
    token.write_text(openbao.root_token.reveal() + "\n")
    given = ("--address", openbao.address, "--token-file", str(token), *words)
    return lambda *arguments, **more: shell.run("vault", "setup", *given, *arguments, **more)


@pytest.fixture(scope="module")
def keys(cli_server):
    """Where the Vault finds real keys."""
    return f"{cli_server.url}/", f"{cli_server.url}/.well-known/jwks.json"


def by_hand(issuer="http://127.0.0.1:9/", jwks="http://127.0.0.1:9/jwks"):
    facts = ("--issuer", issuer, "--jwks-url", jwks)
    return (*facts, "--organization-id", str(uuid4()), "--credential-id", str(uuid4()), "--any-project")


def test_the_servers_facts_make_a_role_for_the_assigned_projects(shell, setup, places, vault_root, unique):
    web, name = unique("web"), unique("credential")
    project = shell.made("project", "create", "--name", web)
    child = shell.made("project", "create", "--name", unique("below"), "--parent", web)
    shell.made("project", "create", "--name", unique("other"))
    value = ("--address", "https://vault.example.com", "--role", places["--role"])
    credential = shell.made("credential", "create", "--name", name, *value, "--assign", web)
    done = setup("--credential", name)
    said = [line for line in done.stdout.splitlines() if line.endswith(": done") and "runpass-sweeper" not in line]
    assert len(said) == 5  # the sweeper's policy is one for all mounts of a namespace, and may be there already
    assert done.stderr == f"the server knows now what stands at the Vault: {places['--role']}\n"
    role = vault_root.read(f"auth/{places['--mount']}/role/{places['--role']}").data
    assert role["bound_claims"] == {
        "apiKeyType": "oidc",
        "organizationId": shell.admin.organization_id,
        "credentialId": credential,
        "projectId": sorted([project, child]),
    }
    assert role["bound_audiences"] == [shell.server.url]
    config = vault_root.read(f"auth/{places['--mount']}/config").data
    url = shell.server.url
    assert (config["bound_issuer"], config["jwks_url"]) == (f"{url}/", f"{url}/.well-known/jwks.json")
    assert setup("--credential", credential).stdout == "nothing to change\n"


def test_a_dry_run_says_what_would_change_and_changes_nothing(setup, keys, places, vault_root):
    said = setup(*by_hand(*keys), "--dry-run")
    assert said.stdout.startswith(f'+ auth method {places["--mount"]}\n    type: "jwt"\n')
    assert "done" not in said.stdout
    assert f"{places['--mount']}/" not in vault_root.read("sys/auth").data


def test_the_printed_commands_do_the_same_and_need_no_token(setup, words, keys, openbao, tmp_path):
    facts = by_hand(*keys)
    script = run_cli("vault", "setup", *words, *facts, "--print", "bao").stdout
    assert "bao auth enable" in script
    environment = {
        "PATH": f"{_bao_directory(tmp_path)}:{os.environ['PATH']}",
        "BAO_ADDR": openbao.address,
        "BAO_TOKEN": openbao.root_token.reveal(),
        "HOME": str(tmp_path),
    }
    subprocess.run(["/bin/sh", "-e"], input=script, env=environment, text=True, check=True, capture_output=True)
    assert setup(*facts).stdout == "nothing to change\n"


def _bao_directory(tmp_path):
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "bao").symlink_to(find_binary())
    return directory


def test_the_token_comes_from_the_environment_or_standard_input_too(openbao, words):
    command = ("vault", "setup", "--address", openbao.address, *words, "--dry-run", *by_hand())
    token = openbao.root_token.reveal()
    assert "+ auth method" in run_cli(*command, environment=clean_environment() | {"VAULT_TOKEN": token}).stdout
    assert "+ auth method" in run_cli(*command, stdin=f"{token}\n").stdout
    refused = run_cli(*command, check=False)
    assert refused.returncode == exits.USAGE
    assert "BAO_TOKEN" in refused.stderr


def test_a_token_that_is_refused_is_vaults_word_and_never_shown(openbao, words):
    command = ("vault", "setup", "--address", openbao.address, *words, *by_hand())
    refused = run_cli(*command, environment=clean_environment() | {"BAO_TOKEN": "s.canary"}, check=False)
    assert refused.returncode == exits.VAULT
    assert "vault said: " in refused.stderr
    assert "canary" not in refused.stdout + refused.stderr


def test_an_auth_method_that_trusts_somebody_else_is_left_alone(setup, keys):
    setup(*by_hand(*keys))
    refused = setup(*by_hand("https://else.example/", f"{keys[1]}?other"), code=exits.VAULT)
    assert "trusts somebody else" in refused.stderr


def test_everything_that_is_missing_is_named(shell):
    refused = shell.run("vault", "setup", "--role", "deploy", "--print", "bao", code=exits.USAGE)
    assert all(name in refused.stderr for name in ("--issuer", "--jwks-url", "--organization-id", "--credential-id"))
    assert "--address" in shell.run("vault", "setup", "--role", "deploy", code=exits.USAGE).stderr


def test_a_path_that_vault_could_not_mean_is_refused_before_anything_is_written(setup):
    assert "../root" not in setup(*by_hand(), "--namespace", "../root", code=exits.VAULT).stderr
