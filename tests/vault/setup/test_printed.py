"""What `--print` prints does the same as `apply`: run in a real shell, or read as Terraform reads it."""

import os
import subprocess
from dataclasses import replace

import pytest

from declarations import as_toml, minimal
from runpass.local.openbao_binary import find_binary
from runpass.vault.commands import as_bao_commands
from runpass.vault.curl_commands import as_curl_commands
from runpass.vault.declaration.parsing import parse
from runpass.vault.declaration.state import Given, state_of
from runpass.vault.desired import KvMount, Policy, read_policy
from runpass.vault.errors import RequestRefused
from runpass.vault.reconcile import plan, setup
from runpass.vault.terraform_text import as_terraform
from services import needs
from terraform_files import evaluate, resources
from vault_provider import KINDS, create

NASTY = '# ${HOME} %{ if } $(id) `id` "\' \\ \u00e9 END EOT\npath "x" {\n  capabilities = ["read"]\n}\n'


@pytest.fixture(params=[0, 2], ids=["root", "namespaces"])
def state(request, issuer, unique):
    """Two engines, one of them in a namespace below, and a policy of all that a shell or Terraform would look at."""
    name = "/".join([unique("team"), "apps"][: request.param])
    content = minimal(issuer, vault={"namespace": name})
    below = f"{name}/{unique('below')}".strip("/")
    content["kv"][unique("other")] = {"version": 1, "namespace": below}
    content["policies"][unique("nasty")] = {"text": NASTY}
    content["auth"] |= {"token_type": "service", "description": "it's ${here}"}
    return state_of(parse(as_toml(content), "declared.toml"), Given())


def run(script, openbao, home, **environment):
    done = subprocess.run(
        ["sh"],
        input=script,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert openbao.root_token.reveal() not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("prefix", ["BAO", "VAULT"])
def test_the_commands_for_bao_and_vault_do_the_same(prefix, state, openbao, vault_root, tmp_path):
    (tmp_path / "vault").symlink_to(find_binary())  # the commands are those that both know
    binary = str(find_binary()) if prefix == "BAO" else str(tmp_path / "vault")
    access = {f"{prefix}_ADDR": openbao.address, f"{prefix}_TOKEN": openbao.root_token.reveal()}
    done = run(as_bao_commands(state, binary), openbao, tmp_path, **access)
    assert done.returncode == 0, done.stderr
    assert plan(vault_root, state) == ()


def test_the_commands_for_curl_do_the_same_and_leave_no_token_behind(state, openbao, vault_root, tmp_path):
    needs("curl")
    script = as_curl_commands(state)
    access = {"VAULT_ADDR": openbao.address, "VAULT_TOKEN": openbao.root_token.reveal()}
    done = run(script, openbao, tmp_path, **access)
    assert done.returncode == 0, done.stderr + done.stdout
    assert plan(vault_root, state) == ()
    assert list(tmp_path.iterdir()) == []
    again = run(script, openbao, tmp_path, **access)
    assert again.returncode != 0
    assert "already in use" in again.stdout


def test_the_token_is_no_argument_of_curl(state, openbao, tmp_path):
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$*" >>"$0.arguments"\n')
    (fake / "curl").chmod(0o755)
    access = {"VAULT_ADDR": openbao.address, "VAULT_TOKEN": openbao.root_token.reveal()}
    done = run(as_curl_commands(state), openbao, tmp_path, **{**access, "PATH": f"{fake}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
    arguments = (fake / "curl.arguments").read_text()
    assert "v1/sys/auth/" in arguments
    assert openbao.root_token.reveal() not in arguments


def played(text, tmp_path):
    """Give each resource of a Terraform file with its attributes, references filled in."""
    file = tmp_path / "main.tf"
    file.write_text(text)
    states = {}
    for resource in resources(file):
        wanted = evaluate(dict(resource.attributes), {}, states)
        if resource.kind == "vault_namespace":
            wanted["path_fq"] = f"{wanted.get('namespace', '')}/{wanted['path']}".strip("/")
        states[resource.address] = wanted
    return states


def test_terraforms_resources_do_the_same(state, vault_root, tmp_path):
    for address, wanted in played(as_terraform(state), tmp_path).items():
        create(vault_root, address.partition(".")[0], wanted)
    assert plan(vault_root, state) == ()


def test_terraform_itself_can_read_the_file(state, tmp_path):
    needs("terraform")
    text = as_terraform(state)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"}
    command = ["terraform", "fmt", "-no-color", "-"]
    done = subprocess.run(
        command, input=text, env=environment, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "resource" in done.stdout


def test_terraforms_attributes_are_the_providers(state, tmp_path):
    for address, wanted in played(as_terraform(state), tmp_path).items():
        kind = address.partition(".")[0]
        assert wanted.keys() - {"namespace", "path_fq"} <= KINDS[kind][0], address


@pytest.mark.parametrize("value", [True, 7, "a,b", ("a", "b,c")])
def test_a_claim_that_the_provider_cannot_say_is_refused(value, state):
    role = replace(state.roles[0], bound_claims={"x": value})
    with pytest.raises(RequestRefused, match="cannot bind a claim"):
        as_terraform(replace(state, roles=(role,)))


def test_every_form_is_for_an_empty_vault_and_stops_at_what_is_there(state, vault_root, openbao, tmp_path):
    setup(vault_root, state)
    access = {"BAO_ADDR": openbao.address, "BAO_TOKEN": openbao.root_token.reveal()}
    done = run(as_bao_commands(state, str(find_binary())), openbao, tmp_path, **access)
    assert done.returncode != 0
    assert "already in use" in done.stderr or "already exists" in done.stderr


def test_the_state_of_these_tests_has_what_could_go_wrong(state):
    assert any(isinstance(kv, KvMount) and kv.version == 1 and kv.namespace for kv in state.kv_mounts)
    assert Policy(name=state.policies[1].name, text=NASTY) in state.policies
    assert state.policies[0].text == read_policy(state.kv_mounts[0].path, 2)
