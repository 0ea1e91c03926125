"""`runpass vault plan`, `apply` and `drift` as an operator runs them, and `runpass issuer export`."""

import json
from pathlib import Path

import pytest

from declarations import CREDENTIAL, ORGANIZATION, as_toml
from fake_servers import certificates
from programs import clean_environment, run_cli, running_server
from runpass.api_client import ApiClient, Connection
from runpass.cli import exits
from runpass.local.openbao import free_port
from runpass.secret import Secret
from runpass.vault.errors import VaultFailure
from static_site import static_site
from throwaway_issuer import throwaway_issuer


@pytest.fixture
def operator(openbao, tmp_path):
    """What every command is told: the Vault's address, and the operator's token in a file."""
    token = tmp_path / "operator-token"
    token.write_text(openbao.root_token.reveal() + "\n")
    return ("--address", openbao.address, "--token-file", str(token))


@pytest.fixture
def names(unique):
    return {name: unique(name) for name in ("web", "vault", "role", "jwt", "kv")}


@pytest.fixture
def words(shell, names):
    """A credential that one project has, and where its Vault side goes."""
    shell.made("project", "create", "--name", names["web"])
    value = ("--address", "https://vault.example.com", "--role", names["role"])
    shell.made("credential", "create", "--name", names["vault"], *value, "--assign", names["web"])
    places = ("--role", names["role"], "--mount", names["jwt"], "--kv-path", names["kv"])
    return ("--credential", names["vault"], *places)


@pytest.fixture
def file(shell, tmp_path, names):
    """The same as a file."""
    project = shell.made("project", "create", "--name", names["web"])
    value = ("--address", "https://vault.example.com", "--role", names["role"])
    credential = shell.made("credential", "create", "--name", names["vault"], *value, "--assign", names["web"])
    content = {
        "organization_id": shell.admin.organization_id,
        "issuer": {"url": f"{shell.server.url}/"},
        "auth": {"mount": names["jwt"]},
        "kv": {names["kv"]: {}},
        "policies": {f"read-{names['kv']}": {"read_kv": names["kv"]}},
        "roles": {
            names["role"]: {
                "credential_id": credential,
                "project_ids": [project],
                "policies": [f"read-{names['kv']}"],
            }
        },
    }
    found = tmp_path / "vault.toml"
    found.write_text(as_toml(content))
    return found


@pytest.mark.parametrize("source", ["words", "file"])
def test_plan_apply_and_drift_from_a_credential_and_from_a_file(source, request, operator, names, vault_root):
    shell, given = request.getfixturevalue("shell"), request.getfixturevalue(source)
    given = ("--file", str(given)) if source == "file" else given
    planned = shell.run("vault", "plan", *given, *operator, code=exits.CHANGES)
    assert f"+ role {names['role']}\n" in planned.stdout
    assert '    bound_claims.apiKeyType: "oidc"\n' in planned.stdout
    assert "+ role runpass-sweeper\n" in planned.stdout
    assert f"{names['jwt']}/" not in vault_root.read("sys/auth").data
    assert f"create role {names['role']}: done\n" in shell.run("vault", "apply", *given, *operator).stdout
    assert shell.run("vault", "plan", *given, *operator).stdout == "nothing to change\n"
    assert shell.run("vault", "apply", *given, *operator).stdout == "nothing to change\n"
    assert shell.run("vault", "drift", *given, *operator).stdout == "nothing has drifted\n"
    path = f"auth/{names['jwt']}/role/{names['role']}"
    vault_root.write(path, {**vault_root.read(path).data, "token_ttl": 3600})
    assert "    token_ttl: 3600 -> 120\n" in shell.run("vault", "drift", *given, *operator, code=exits.FOUND).stdout
    shown = shell.run("vault", "plan", *given, *operator, "--json", code=exits.CHANGES)
    (change,) = json.loads(shown.stdout)["changes"]
    assert change["parameters"] == [{"name": "token_ttl", "is": 3600, "shouldBe": 120}]
    assert vault_root.read(path).data["token_ttl"] == 3600


def test_a_role_that_nobody_declared_is_drift_of_a_file_unless_it_says_that_others_are_there(
    shell, operator, names, file, vault_root
):
    shell.run("vault", "apply", "--file", str(file), *operator)
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"]}
    vault_root.write(f"auth/{names['jwt']}/role/planted", role)
    told = shell.run("vault", "drift", "--file", str(file), *operator, code=exits.FOUND).stdout
    assert f"? role planted of auth method {names['jwt']}: nobody declared it\n" in told
    shown = shell.run("vault", "drift", "--file", str(file), *operator, "--json", code=exits.FOUND)
    assert json.loads(shown.stdout) == {"changes": [], "undeclaredRoles": ["planted"]}
    file.write_text(file.read_text().replace('["auth"]\n', '["auth"]\nshared = true\n'))
    assert "planted" in shell.run("vault", "drift", "--file", str(file), *operator).stdout


def test_a_credential_that_no_project_has_makes_no_role_unless_every_project_is_meant(
    shell, operator, names, vault_root
):
    value = ("--address", "https://vault.example.com", "--role", names["role"])
    shell.made("credential", "create", "--name", names["vault"], *value)
    words = ("--credential", names["vault"], "--role", names["role"], "--mount", names["jwt"], "--kv-path", names["kv"])
    for command in ("plan", "apply", "setup", "drift"):
        refused = shell.run("vault", command, *words, *operator, code=exits.USAGE)
        assert "--any-project" in refused.stderr
    assert f"{names['jwt']}/" not in vault_root.read("sys/auth").data
    shell.run("vault", "apply", *words, *operator, "--any-project")
    role = vault_root.read(f"auth/{names['jwt']}/role/{names['role']}").data
    assert "projectId" not in role["bound_claims"]
    assert role["bound_claims"]["credentialId"]


def test_what_stands_at_the_vault_is_recorded_for_explanations(shell, operator, words, names):
    admin = shell.admin
    connection = Connection(
        url=shell.server.url, api_key_id=admin.api_key_id, api_key_secret=Secret(admin.api_key_secret)
    )

    def recorded():
        with ApiClient(connection) as api:
            return len(api.of_organization("/audit-events", action="credential.role_recorded", limit=1000))

    before = recorded()
    shell.run("vault", "apply", *words, *operator, "--no-record")
    assert recorded() == before
    told = shell.run("vault", "apply", *words, *operator)
    assert told.stdout == "nothing to change\n"
    assert names["role"] in told.stderr
    assert recorded() == before + 1


def test_the_sweepers_role_can_be_left_out(shell, operator, words, names, vault_root):
    shell.run("vault", "apply", *words, *operator, "--no-sweeper")
    with pytest.raises(VaultFailure):
        vault_root.read(f"auth/{names['jwt']}/role/runpass-sweeper")


def test_audience_and_longest_life_are_those_of_the_credential_and_the_run(shell, operator, words, names, vault_root):
    shell.run("vault", "apply", *words, *operator, "--token-format", "credential", "--run-timeout", "600")
    role = vault_root.read(f"auth/{names['jwt']}/role/{names['role']}").data
    assert role["bound_audiences"] == [f"urn:runpass:credential:{role['bound_claims']['credentialId']}"]
    assert role["token_explicit_max_ttl"] == 600


def test_the_address_may_stand_in_the_file(shell, operator, file, openbao):
    file.write_text(file.read_text() + f'\n[vault]\naddress = "{openbao.address}"\n')
    assert "+ auth method" in shell.run("vault", "plan", "--file", str(file), *operator[2:], code=exits.CHANGES).stdout


@pytest.mark.parametrize("form", ["bao", "vault", "terraform", "curl"])
def test_every_form_is_printed_without_a_token_and_without_a_vault(form, file):
    assert "runpass-sweeper" in run_cli("vault", "apply", "--file", str(file), "--print", form).stdout


def test_the_operators_policy_is_printed_without_a_token(file, names):
    assert (
        f'path "auth/{names["jwt"]}/config"' in run_cli("vault", "plan", "--file", str(file), "--print-policy").stdout
    )


def test_options_that_a_file_decides_are_named_together(file):
    refused = run_cli("vault", "plan", "--file", str(file), "--role", "x", "--any-project", check=False)
    assert refused.returncode == exits.USAGE
    assert "--role is not used with --file; --any-project is not used with --file" in refused.stderr


def test_a_file_with_mistakes_is_told_line_by_line(file):
    file.write_text(file.read_text().replace("project_ids", "project_idz"))
    refused = run_cli("vault", "apply", "--file", str(file), check=False)
    assert refused.returncode == exits.USAGE
    assert "line 16: " in refused.stderr
    assert "project_idz is not known" in refused.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 300_000])
def test_a_file_that_is_none_is_refused(content, file):
    file.write_bytes(content)
    assert run_cli("vault", "plan", "--file", str(file), check=False).returncode == exits.USAGE


def test_a_file_that_is_not_there_is_named(tmp_path):
    refused = run_cli("vault", "plan", "--file", str(tmp_path / "none.toml"), check=False)
    assert refused.returncode == exits.USAGE
    assert "none.toml cannot be read" in refused.stderr


def unknown_token(issuer: str) -> str:
    """A token that no server has signed."""
    with throwaway_issuer() as other:
        return other.token(iss=issuer).reveal()


def test_exported_documents_are_enough_for_a_vault_that_does_not_reach_the_server(
    openbao, operator, vault_root, unique, tmp_path
):
    ca, tls = certificates(tmp_path)
    port = free_port()
    issuer = f"https://127.0.0.1:{port}/"
    site = tmp_path / "site"
    with running_server(tmp_path / "server", issuer_url=issuer, foreign_issuer=True) as server:
        done = run_cli("issuer", "export", str(site), environment=clean_environment(url=server.url))
    assert [Path(line).name for line in done.stdout.splitlines()] == ["jwks.json", "openid-configuration"]
    metadata = json.loads((site / ".well-known" / "openid-configuration").read_text())
    assert (metadata["issuer"], metadata["jwks_uri"]) == (issuer, f"{issuer}.well-known/jwks.json")
    mount = unique("jwt")
    ids = ("--organization-id", ORGANIZATION, "--credential-id", CREDENTIAL)
    words = ("--issuer", issuer, "--jwks-url", metadata["jwks_uri"], *ids, "--any-project", "--no-sweeper")
    places = ("--role", "deploy", "--mount", mount, "--kv-path", unique("kv"))
    with static_site(site, tls, port):
        trust = ("--keys", "discovery", "--issuer-ca-file", str(ca))
        run_cli("vault", "apply", *words, *places, *trust, *operator)
        assert run_cli("vault", "plan", *words, *places, *trust, *operator).stdout == "nothing to change\n"
        refused = vault_root.write(
            f"auth/{mount}/login", {"role": "deploy", "jwt": unknown_token(issuer)}, accept={400}
        )
    # The Vault fetched and understood the exported key set: it knows that this signature is of none of its keys.
    assert "failed to verify id token signature" in str(refused.vault_error)
