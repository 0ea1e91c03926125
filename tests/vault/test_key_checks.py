"""What a runner reads in a real OpenBao's answers to a token that nobody signed, and to a probe."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fake_servers import Door, OnASocket
from runpass.protocol.credentials import CredentialGrant, CredentialKind, VaultOidc
from runpass.protocol.key_checks import KeyCheck, KeyCheckReport, ProbeVerdict, Refetched
from runpass.runner.key_checks import check_keys
from runpass.secret import Secret
from runpass.server.vault_tasks.key_checks import throw_away_token
from runpass.vault.client import VaultClient
from throwaway_issuer import AUDIENCE, ThrowawayIssuer

ROLE = "run"


@pytest.fixture
def mount(vault_root: VaultClient, jwt_mount: str, own_issuer: ThrowawayIssuer) -> str:
    configure(vault_root, jwt_mount, jwks_url=own_issuer.jwks_url, bound_issuer=own_issuer.url)
    role = {"role_type": "jwt", "user_claim": "environmentId", "bound_audiences": [AUDIENCE], "token_type": "batch"}
    vault_root.write(f"auth/{jwt_mount}/role/{ROLE}", role)
    return jwt_mount


def configure(root: VaultClient, mount: str, **config: object) -> None:
    root.write(f"auth/{mount}/config", config)


def check(address: str, mount: str, issuer: str, *, role: str = ROLE, probe: Secret | None = None) -> KeyCheckReport:
    value = VaultOidc.model_validate(
        {"address": address, "version": "", "roleName": role, "jwtAuthBackendPath": mount, "timeoutSeconds": 5}
    )
    grant = CredentialGrant(credential_id=uuid4(), name="vault", kind=CredentialKind.VAULT_OIDC, value=value)
    task = KeyCheck(
        task_id=uuid4(),
        task_secret=Secret("rpt_x"),
        expires_at=datetime.now(UTC) + timedelta(minutes=3),
        grant=grant,
        refetch_token=throw_away_token(issuer),
        probe=probe,
    )
    return check_keys(task, None)


def expired(issuer: ThrowawayIssuer, **changes: object) -> Secret:
    return issuer.token(iat=1, nbf=1, exp=2, **changes)


def test_every_check_makes_the_vault_fetch_the_key_set(
    vault_root: VaultClient, mount: str, own_issuer: ThrowawayIssuer
):
    before = own_issuer.fetches
    for number in range(1, 3):
        report = check(vault_root.address, mount, own_issuer.url)
        assert (report.reached, report.refetched, report.probe_verdict) == (True, Refetched.FETCHED, None)
        assert own_issuer.fetches == before + number


def test_a_vault_that_cannot_fetch_or_read_the_key_set_says_so(
    vault_root: VaultClient, mount: str, own_issuer: ThrowawayIssuer
):
    own_issuer.status = 500
    assert check(vault_root.address, mount, own_issuer.url).refetched is Refetched.FETCH_FAILED
    own_issuer.status, own_issuer.body = 200, json.dumps({"keys": [{"kty": "AKP", "kid": "x"}]}).encode()
    report = check(vault_root.address, mount, own_issuer.url)
    assert (report.reached, report.refetched) == (True, Refetched.FETCH_FAILED)
    assert "fetching keys" in report.said


def test_a_vault_with_pushed_keys_is_told_from_one_that_fetches(
    vault_root: VaultClient, mount: str, own_issuer: ThrowawayIssuer
):
    pem = own_issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    configure(vault_root, mount, jwt_validation_pubkeys=[pem.decode()], bound_issuer=own_issuer.url)
    before = own_issuer.fetches
    report = check(vault_root.address, mount, own_issuer.url, probe=expired(own_issuer))
    assert (report.refetched, report.probe_verdict) == (Refetched.PUSHED_KEYS, ProbeVerdict.REFUSED_EXPIRED)
    assert own_issuer.fetches == before


def test_a_probe_tells_whether_the_vault_trusts_a_key(vault_root: VaultClient, mount: str, own_issuer: ThrowawayIssuer):
    known = check(vault_root.address, mount, own_issuer.url, probe=expired(own_issuer))
    assert (known.refetched, known.probe_verdict) == (Refetched.FETCHED, ProbeVerdict.REFUSED_EXPIRED)
    elsewhere = check(vault_root.address, mount, own_issuer.url, probe=expired(own_issuer, aud="somewhere else"))
    assert elsewhere.probe_verdict is ProbeVerdict.REFUSED_EXPIRED
    removed = expired(own_issuer)
    own_issuer.key, own_issuer.kid = ec.generate_private_key(ec.SECP256R1()), uuid4().hex
    cured = check(vault_root.address, mount, own_issuer.url, probe=removed)
    assert cured.probe_verdict is ProbeVerdict.REFUSED_SIGNATURE


def test_a_login_that_is_refused_before_any_fetch_proves_nothing(
    vault_root: VaultClient, mount: str, own_issuer: ThrowawayIssuer
):
    before = own_issuer.fetches
    for place in (("missing", ROLE), (mount, "missing")):
        report = check(vault_root.address, place[0], own_issuer.url, role=place[1], probe=expired(own_issuer))
        assert (report.reached, report.refetched) == (True, Refetched.NOT_READ)
        assert report.probe_verdict is ProbeVerdict.NOT_READ
        assert report.said
    assert own_issuer.fetches == before


def test_a_vault_that_is_not_there_was_not_reached():
    report = check("http://127.0.0.1:9", "jwt", "https://issuer.test/")
    assert (report.reached, report.refetched, report.probe_verdict) == (False, Refetched.NOT_READ, None)
    assert report.said


def test_whoever_lets_the_token_in_is_told_and_the_token_it_gave_is_revoked():
    seen: list[tuple[str, str]] = []

    class Trusting(Door):
        def reply(self) -> None:
            seen.append((self.path, self.headers.get("X-Vault-Token", "")))
            auth = {"client_token": "hvs.given", "accessor": "a", "lease_duration": 60, "token_type": "service"}
            self.send(200, json.dumps({"auth": auth}).encode(), "Connection: close")
            self.close_connection = True

    with OnASocket(Trusting) as server:
        report = check(server.url, "jwt", "https://issuer.test/", probe=Secret("x.y.z"))
    assert (report.refetched, report.probe_verdict) == (Refetched.ACCEPTED, ProbeVerdict.ACCEPTED)
    revoked = [path for path, token in seen if token == "hvs.given"]
    assert revoked == ["/v1/auth/token/revoke-self"] * 2


def test_what_a_hostile_vault_answers_stays_bounded_and_printable():
    answer = json.dumps({"errors": ["failed to verify id token signature \x1b[2J\u202e" + "x" * 100_000]}).encode()

    class Hostile(Door):
        def reply(self) -> None:
            self.send(400, answer, "Connection: close")
            self.close_connection = True

    with OnASocket(Hostile) as server:
        report = check(server.url, "jwt", "https://issuer.test/")
    assert report.refetched is Refetched.FETCHED  # its word: without a fetch it proves nothing
    assert len(report.said) <= 2_000
    assert report.said.isprintable()


def test_no_two_throw_away_tokens_have_the_same_key():
    tokens = [throw_away_token("https://issuer.test/").reveal() for _ in range(3)]
    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == 3
    claims = jwt.decode(tokens[0], options={"verify_signature": False, "verify_exp": False})
    assert (claims["sub"], claims["aud"], claims["exp"]) == ("nobody", "nobody", 2)
