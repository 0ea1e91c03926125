"""`runpass vault lint` and `doctor` on what `setup` has made for a credential of a real server."""

import json

import pytest


@pytest.fixture
def operator(openbao, tmp_path):
    file = tmp_path / "operator-token"
    file.write_text(openbao.root_token.reveal() + "\n")
    return str(file)


@pytest.fixture
def places(shell, openbao, operator, unique):
    """Options of a mount and role that `setup` has made, for a credential that one project has."""
    project, name = unique("web"), unique("credential")
    shell.made("project", "create", "--name", project)
    options = ["--address", openbao.address, "--mount", unique("jwt"), "--role", unique("role")]
    value = ("--address", openbao.address, "--role", options[5])
    shell.made("credential", "create", "--name", name, *value, "--assign", project)
    made = ("--credential", name, "--kv-path", unique("kv"), "--token-file", operator)
    shell.run("vault", "setup", *options, *made)
    return options, name


def checks(shell, *arguments, code=0):
    content = json.loads(shell.run("vault", "doctor", *arguments, "--json", code=code).stdout)
    return {item["check"]: item for item in content["checks"]}


def test_what_setup_has_made_is_clean_and_fits_the_servers_tokens(shell, places, operator):
    options, name = places
    said = shell.run("vault", "lint", *options, "--token-file", operator).stdout
    assert "error" not in said
    assert "warning" not in said
    found = checks(shell, *options, "--credential", name, "--operator-token-file", operator)
    for check in ("issuer_keys", "expectations", "weak_spots", "revocation"):
        assert found[check]["verdict"] == "ok", found[check]
    names = [item["name"] for item in found["expectations"]["explained"]]
    assert names == [
        "bound_issuer", "jwks_url", "bound_audiences", "bound_claims.organizationId", "bound_claims.credentialId",
        "bound_claims.projectId", "bound_claims.apiKeyType",
    ]  # fmt: skip


def test_a_role_that_expects_another_audience_is_told_with_both(shell, places, operator, vault_root):
    options, name = places
    path = f"auth/{options[3]}/role/{options[5]}"
    vault_root.write(path, {"role_type": "jwt", "bound_audiences": ["https://other.test"]})
    found = checks(shell, *options, "--credential", name, "--operator-token-file", operator, code=1)["expectations"]
    [wrong] = [item for item in found["explained"] if item["passed"] is False]
    assert (wrong["name"], wrong["expected"], wrong["received"]) == (
        "bound_audiences", "https://other.test", shell.server.url,
    )  # fmt: skip
    assert wrong["fix"] == f"Add {shell.server.url}."


def test_a_credential_that_is_not_there_is_told(shell, places):
    options, _ = places
    assert "there is no credential" in shell.run("vault", "doctor", *options, "--credential", "none", code=3).output
