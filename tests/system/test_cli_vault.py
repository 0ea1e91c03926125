"""`runpass vault setup` on a real OpenBao: by hand, from the server's facts, as commands; a second time nothing."""

import json
import os
import subprocess
from uuid import uuid4

import pytest

from programs import run_cli, running_server
from runpass.cli import exits
from runpass.local.openbao_binary import find_binary


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("vault")) as started:
        yield started


@pytest.fixture(scope="module")
def admin(server):
    return server.found("acme")


@pytest.fixture
def places(unique):
    """Where everything is put; no other test uses these names."""
    return {"--mount": unique("jwt"), "--role": unique("role"), "--kv-path": unique("kv"), "--policy": unique("policy")}


@pytest.fixture
def setup(server, admin, openbao, places, tmp_path):
    token = tmp_path / "operator-token"
    token.write_text(openbao.root_token.reveal() + "\n")
    words = [word for pair in places.items() for word in pair]

    def run(*arguments, check=True, **options):
        given = ("--address", openbao.address, "--token-file", str(token), *words)
        return server.cli("vault", "setup", *given, *arguments, admin=admin, check=check, **options)

    return run


def by_hand(issuer="http://127.0.0.1:9/", jwks="http://127.0.0.1:9/jwks"):
    facts = ("--issuer", issuer, "--jwks-url", jwks)
    return (*facts, "--organization-id", str(uuid4()), "--credential-id", str(uuid4()))


def test_the_servers_facts_make_a_role_for_the_assigned_projects(  # noqa: PLR0917 -- fixtures
    server, admin, setup, places, vault_root, unique
):
    web, below = unique("web"), unique("below")
    project = server.cli("project", "create", "--name", web, admin=admin).stdout.strip()
    child = server.cli("project", "create", "--name", below, "--parent", web, admin=admin).stdout.strip()
    server.cli("project", "create", "--name", unique("other"), admin=admin)
    name, address = unique("credential"), "https://vault.example.com"
    value = ("--address", address, "--role", places["--role"])
    credential = server.cli("credential", "create", "--name", name, *value, "--assign", web, admin=admin).stdout.strip()
    done = setup("--credential", name)
    assert done.stdout.count(": done\n") == 5
    assert done.stderr == ""
    role = vault_root.read(f"auth/{places['--mount']}/role/{places['--role']}").data
    assert role["bound_claims"] == {
        "apiKeyType": "oidc",
        "organizationId": admin.organization_id,
        "credentialId": credential,
        "projectId": sorted([project, child]),
    }
    assert role["bound_audiences"] == [server.url]
    config = vault_root.read(f"auth/{places['--mount']}/config").data
    assert (config["bound_issuer"], config["jwks_url"]) == (f"{server.url}/", f"{server.url}/.well-known/jwks.json")
    assert setup("--credential", credential).stdout == "nothing to change\n"


def test_a_dry_run_says_what_would_change_and_changes_nothing(setup, server, places, vault_root):
    facts = by_hand(f"{server.url}/", f"{server.url}/.well-known/jwks.json")
    said = setup(*facts, "--dry-run")
    assert said.stdout.startswith(f"would create auth method {places['--mount']}\n")
    assert "every project" in said.stderr
    assert f"{places['--mount']}/" not in vault_root.read("sys/auth").data


def test_the_printed_commands_do_the_same_and_need_no_token(server, setup, openbao, places, tmp_path):
    facts = by_hand(f"{server.url}/", f"{server.url}/.well-known/jwks.json")
    words = [word for pair in places.items() for word in pair]
    script = run_cli("vault", "setup", *words, *facts, "--print").stdout
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


def test_the_token_comes_from_the_environment_or_standard_input_too(server, admin, openbao, places):
    words = [word for pair in places.items() for word in pair]
    command = ("vault", "setup", "--address", openbao.address, *words, "--dry-run", *by_hand())
    token = openbao.root_token.reveal()
    environment = server.client_environment(admin)
    assert "would create" in run_cli(*command, environment=environment | {"VAULT_TOKEN": token}).stdout
    assert "would create" in run_cli(*command, environment=environment, stdin=f"{token}\n").stdout
    refused = run_cli(*command, environment=environment, check=False)
    assert refused.returncode == exits.USAGE
    assert "BAO_TOKEN" in refused.stderr


def test_a_token_that_is_refused_is_vaults_word_and_never_shown(server, admin, openbao, places):
    words = [word for pair in places.items() for word in pair]
    environment = server.client_environment(admin) | {"BAO_TOKEN": "s.canary"}
    refused = run_cli(
        "vault", "setup", "--address", openbao.address, *words, *by_hand(), environment=environment, check=False
    )
    assert refused.returncode == exits.VAULT
    assert "vault said: " in refused.stderr
    assert "canary" not in refused.stdout + refused.stderr


def test_an_auth_method_that_trusts_somebody_else_is_left_alone(server, setup):
    jwks = f"{server.url}/.well-known/jwks.json"
    setup(*by_hand(f"{server.url}/", jwks))
    refused = setup(*by_hand("https://else.example/", f"{jwks}?other"), check=False)
    assert refused.returncode == exits.VAULT
    assert "trusts somebody else" in refused.stderr


def test_everything_that_is_missing_is_named(server, admin):
    refused = server.cli("vault", "setup", "--role", "deploy", "--print", admin=admin, check=False)
    assert refused.returncode == exits.USAGE
    assert all(name in refused.stderr for name in ("--issuer", "--jwks-url", "--organization-id", "--credential-id"))
    refused = server.cli("vault", "setup", "--role", "deploy", admin=admin, check=False)
    assert "--address" in refused.stderr


def test_a_path_that_vault_could_not_mean_is_refused_before_anything_is_written(setup):
    refused = setup(*by_hand(), "--namespace", "../root", check=False)
    assert refused.returncode == exits.VAULT
    assert json.dumps("../root") not in refused.stderr
