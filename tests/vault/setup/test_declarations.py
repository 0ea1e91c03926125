"""Whatever is declared: once it is applied, there is nothing to change. On a real OpenBao."""

import ipaddress
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from declarations import as_toml, minimal
from runpass.vault.declaration.parsing import parse
from runpass.vault.declaration.state import Given, state_of
from runpass.vault.difference import Change
from runpass.vault.reconcile import plan, setup

PRINTABLE = st.characters(exclude_categories=["C", "Z"], exclude_characters=",")
WORD = st.text(PRINTABLE, min_size=1, max_size=12)
TEXT = st.builds("{}{}{}".format, WORD, st.sampled_from(["", " ", "  "]), WORD)
NAME = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,6}[A-Za-z0-9_])?", fullmatch=True)
MOST = st.sampled_from([0, 1, 7, 59, 60, 119, 120])
CLAIM = st.text(PRINTABLE, min_size=1, max_size=8).filter(
    lambda name: name not in {"organizationId", "organization", "projectId", "credentialId", "apiKeyType", "phase"}
)
PHASES = st.lists(st.sampled_from(["plan", "apply", "destroy", "task"]), min_size=1, unique=True)
ALGORITHMS = st.lists(st.sampled_from(["RS256", "ES256", "ES384", "PS512", "EdDSA"]), unique=True)
CAPABILITIES = st.lists(st.sampled_from(["read", "list", "create", "update", "deny"]), min_size=1, unique=True)


def pem(key) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEYS = [
    pem(ec.generate_private_key(ec.SECP256R1())),
    pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    pem(ed25519.Ed25519PrivateKey.generate()),
]


@st.composite
def addresses(draw) -> str:
    version = draw(st.sampled_from([4, 6]))
    address = draw(st.ip_addresses(v=version).filter(lambda found: getattr(found, "ipv4_mapped", None) is None))
    length = draw(st.integers(0, 32 if version == 4 else 128))
    return draw(
        st.sampled_from(
            [str(address), f"{address}/{length}", str(ipaddress.ip_interface(f"{address}/{length}").network)]
        )
    )


@st.composite
def roles(draw) -> dict:
    seconds = draw(st.integers(1, 120))
    role = {
        "credential_id": str(uuid4()),
        "policies": draw(st.lists(NAME.filter(lambda name: name.lower() != "root"), max_size=4, unique_by=str.lower)),
        "token_ttl": draw(st.sampled_from([f"{seconds}s", str(seconds), seconds])),
        "bound_claims": draw(
            st.dictionaries(CLAIM, TEXT | st.lists(TEXT, min_size=1, max_size=3, unique=True), max_size=3)
        ),
        "token_bound_cidrs": draw(st.lists(addresses(), max_size=3)),
    }
    if draw(st.booleans()):
        role["project_ids"] = [str(uuid4()) for _ in range(draw(st.integers(1, 3)))]
    else:
        role["any_project"] = True
    if draw(st.booleans()):
        role["audience"] = draw(WORD)
    if draw(st.booleans()):
        role["phases"] = draw(PHASES)
    if draw(st.booleans()):
        role["token_explicit_max_ttl"] = draw(st.sampled_from(["120s", "2m", "45m", "1h", 300]))
    return role


@st.composite
def policies(draw) -> dict:
    path = draw(st.from_regex(r"[a-c]{1,3}(/([a-c]{1,2}|\+)){0,2}(/\*)?", fullmatch=True))
    names = ", ".join(f'"{name}"' for name in draw(CAPABILITIES))
    comment = draw(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=10))
    ending = draw(st.sampled_from(["", "\n", "\n\n"]))
    return {"text": f'# {comment}\npath "{path}" {{\n  capabilities = [{names}]\n}}{ending}'}


@st.composite
def declarations(draw, issuer, mount: str, namespace: str) -> dict:
    versions = draw(st.lists(st.sampled_from([1, 2]), max_size=2, unique=True))
    return minimal(
        issuer,
        vault={"namespace": namespace},
        issuer={
            "url": f"{issuer.url}/",
            "jwks_url": issuer.jwks_url,
            "keys": draw(st.sampled_from(["jwks", "pushed"])),
            "algorithms": draw(ALGORITHMS),
        },
        auth={
            "mount": mount,
            "default_role": draw(st.just("") | NAME),
            "token_type": draw(st.sampled_from(["default-service", "service"])),
        },
        sweeper={"enabled": draw(st.booleans())},
        kv={f"kv{version}-{mount}": {"version": version} for version in versions},
        policies={
            f"{mount}-{name}": draw(policies())
            for name in draw(st.lists(st.sampled_from("aBc"), max_size=2, unique=True))
        },
        roles={
            name: draw(roles())
            for name in draw(st.lists(st.sampled_from(["deploy", "Plan", "a.b-c_1", "x"]), max_size=3, unique=True))
        },
    )


def desired(content: dict, keys: list[str]):
    return state_of(parse(as_toml(content), "declared.toml"), Given(public_keys=tuple(sorted(keys))))


@given(data=st.data())
def test_after_an_apply_the_plan_is_empty(data, vault_root, issuer):
    mount, namespace = f"jwt-{uuid4().hex[:8]}", data.draw(st.sampled_from(["", "", "", f"ns-{uuid4().hex[:8]}"]))
    made = []
    for turn in ("first", "second"):
        declared = data.draw(declarations(issuer, mount, namespace), label=turn)
        made += declared["kv"]
        state = desired(declared, data.draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True)))
        setup(vault_root, state, take_over=True)
        assert [str(change) for change in plan(vault_root, state)] == []
    for path in (f"sys/auth/{mount}", *(f"sys/mounts/{engine}" for engine in set(made))):
        vault_root.in_namespace(namespace).delete(path)


OUT_OF_BAND = {
    "bound_claims": {"apiKeyType": "oidc"},
    "bound_audiences": ["https://other.test"],
    "bound_subject": "somebody",
    "bound_claims_type": "glob",
    "user_claim": "sub",
    "user_claim_json_pointer": True,
    "groups_claim": "groups",
    "claim_mappings": {"projectId": "projectId"},
    "clock_skew_leeway": 300,
    "token_policies": ["other"],
    "token_policies_template_claims": True,
    "token_no_default_policy": True,
    "token_ttl": 60,
    "token_max_ttl": 7200,
    "token_explicit_max_ttl": 0,
    "token_period": 60,
    "token_num_uses": 3,
    "token_type": "default",
    "token_bound_cidrs": ["10.0.0.0/8"],
}


@pytest.mark.parametrize("parameter", OUT_OF_BAND)
def test_every_parameter_that_somebody_changes_by_hand_is_seen_and_put_back(parameter, vault_root, issuer):
    content = minimal(issuer)
    state = desired(content, [])
    setup(vault_root, state)
    role = state.roles[0]
    path = f"auth/{state.auth.path}/role/{role.name}"
    vault_root.write(path, {**role.parameters(), parameter: OUT_OF_BAND[parameter]})
    found: tuple[Change, ...] = setup(vault_root, state)
    assert [(change.subject, change.parameters) for change in found] == [(f"role {role.name}", (parameter,))]
    assert plan(vault_root, state) == ()


def test_a_mount_that_was_tuned_to_batch_tokens_is_tuned_back(vault_root, issuer):
    state = desired(minimal(issuer), [])
    setup(vault_root, state)
    vault_root.write(f"sys/mounts/auth/{state.auth.path}/tune", {"token_type": "batch"})
    (change,) = setup(vault_root, state)
    assert str(change) == f"update auth method {state.auth.path} (token_type)"
    assert plan(vault_root, state) == ()
