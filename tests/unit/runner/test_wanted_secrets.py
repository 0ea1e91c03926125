"""Which secrets a run wants, from which credential, and what becomes of its variables."""

import json
from types import SimpleNamespace

import pytest

from runpass.protocol.run_lease import Variable
from runpass.runner.wanted_secrets import CredentialUnclear, by_credential, leaves_of, name_of, resolved, wanted_by
from runpass.secret import Secret
from runpass.vault.errors import ReferenceInvalid, SecretUnusable
from runpass.vault.references import SecretReference, Shape


def variable(name: str, value: str, *, sensitive: bool = False) -> Variable:
    return Variable(name=name, value=Secret(value), sensitive=sensitive)


def grants(*names: str):
    return [SimpleNamespace(credential_id=number, name=name) for number, name in enumerate(names)]


def unclear(text: str, *names: str) -> CredentialUnclear:
    with pytest.raises(CredentialUnclear) as caught:
        by_credential(wanted_by([variable("DB", text)]), grants(*names), "web")
    return caught.value


def made(values: dict[str, object], *variables: Variable):
    """Resolve with one secret, `kv/app`, that holds these values."""
    wanted = wanted_by(variables)
    found = {
        reference: Secret(json.dumps(values) if reference.key == "*" else str(values[reference.key]))
        for item in wanted
        for reference in item.references
    }
    return resolved(wanted, found, variables)


def test_each_reference_has_its_credential():
    wanted = wanted_by(
        [variable("A", "${vault[one]:kv/a.x} ${vault[two]:kv/b.y}"), variable("B", "${vault[two]:kv/a.x}")]
    )
    reads = by_credential(wanted, grants("one", "two"), "web")
    assert {key: [str(item) for item in found] for key, found in reads.items()} == {
        0: ["[one]kv/a.x"], 1: ["[two]kv/b.y", "[two]kv/a.x"],
    }  # fmt: skip


def test_with_one_credential_no_name_is_needed_and_its_own_is_taken():
    wanted = wanted_by([variable("A", "${vault:kv/a.x}${vault[one]:kv/a.y}")])
    assert len(by_credential(wanted, grants("one"), "web")[0]) == 2


def test_what_is_not_clear_is_told_with_the_names_there_are():
    several = unclear("${vault:kv/a.x}", "two", "one")
    assert several.unclear == "ambiguous_credential"
    assert "(one, two)" in several.message
    assert "variable DB" in several.message
    assert unclear("${vault[same]:kv/a.x}", "same", "same").unclear == "ambiguous_credential"
    unknown = unclear("${vault[three]:kv/a.x}", "one", "two")
    assert unknown.unclear == "unknown_credential"
    assert "There is: one, two." in unknown.message
    assert unclear("${vault:kv/a.x}").unclear == "no_credential"


def test_all_malformed_references_are_told_together():
    with pytest.raises(ReferenceInvalid) as caught:
        wanted_by([variable("A", "${vault:x}"), variable("B", "fine"), variable("C", "a${vault-file:kv/a.x}")])
    assert "variable A" in caught.value.message
    assert "variable C" in caught.value.message
    assert "must be all of its variable's value" in caught.value.message


def test_a_whole_secret_becomes_a_variable_for_each_key():
    found = made({"user": "u", "db-password": "p", "port": 5432}, variable("APP", "${vault:kv/app.*}"))
    assert {name: value.reveal() for name, value in found.variables.items()} == {
        "APP_USER": "u", "APP_DB_PASSWORD": "p", "APP_PORT": "5432",
    }  # fmt: skip
    assert found.files == {}


@pytest.mark.parametrize(("key", "name"), [("a", "APP_A"), ("a.b-c", "APP_A_B_C"), ("ünï", "APP_N"), ("__x", "APP_X")])
def test_the_name_of_a_key(key: str, name: str):
    assert name_of("APP", key) == name


def test_names_that_clash_or_are_reserved_are_told_together_and_without_values():
    with pytest.raises(SecretUnusable) as caught:
        made(
            {"a-b": "canary1", "a_b": "canary2", "taken": "canary3"},
            variable("APP", "${vault:kv/app.*}"),
            variable("APP_TAKEN", "x"),
        )
    assert "APP_A_B (key a_b of kv/app)" in caught.value.message
    assert "APP_TAKEN (key taken of kv/app)" in caught.value.message
    assert "canary" not in caught.value.message
    with pytest.raises(SecretUnusable, match="VAULT_X_TOKEN"):
        made({"token": "x"}, variable("VAULT_X", "${vault:kv/app.*}"))


def test_a_file_holds_what_no_variable_can():
    large = "x\0" + "y" * 200_000
    found = made({"key": large}, variable("KEY", "${vault-file:kv/app.key}"))
    assert found.variables == {}
    assert found.files["KEY"].reveal() == large
    with pytest.raises(SecretUnusable, match="512 KiB together; the largest are KEY"):
        made({"key": "z" * 1_100_000}, variable("KEY", "${vault-file:kv/app.key}"))


def test_every_leaf_of_a_whole_secret_is_named():
    wanted = wanted_by([variable("APP", "${vault:kv/app.*}")])
    leaves = leaves_of(wanted, {SecretReference("kv/app", "*"): Secret('{"a":"b","n":{"x":1}}')})
    assert {name: value.reveal() for name, value in leaves.items()} == {"kv/app.a": "b", "kv/app.n": '{"x":1}'}
    assert wanted[0].shape is Shape.SPREAD
