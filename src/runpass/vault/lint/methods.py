"""Rules about the auth method itself: its config, and how it is mounted. Pure."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from runpass.vault.lint.model import Severity
from runpass.vault.lint.rule import MountRule, Seen, when
from runpass.vault.lint.view import Mount

URLS: Final = ("jwks_url", "oidc_discovery_url")
TELLING: Final = {
    "audit_non_hmac_request_keys": frozenset({"jwt", "token"}),
    "audit_non_hmac_response_keys": frozenset({"client_token", "accessor"}),
}


def _urls(mount: Mount) -> Iterator[tuple[str, str]]:
    for name in URLS:
        if mount.text(name):
            yield name, mount.text(name)
    pairs = mount.data.get("jwks_pairs")
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, dict) and isinstance(pair.get("jwks_url"), str):
            yield "jwks_pairs", pair["jwks_url"]


def _clear_text(mount: Mount) -> Iterator[Seen]:
    for name, url in _urls(mount):
        try:
            parts = urlsplit(url.strip())
            host = parts.hostname or ""
        except ValueError:
            continue
        if parts.scheme == "http" and not _is_loopback(host):
            yield Seen(name, host)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _stray_spaces(mount: Mount) -> Iterator[Seen]:
    for name in ("bound_issuer", *URLS):
        if mount.text(name) != mount.text(name).strip():
            yield Seen(name)


def _ca_without_use(mount: Mount) -> Iterator[Seen]:
    for url, ca in (("jwks_url", "oidc_discovery_ca_pem"), ("oidc_discovery_url", "jwks_ca_pem")):
        right = "jwks_ca_pem" if url == "jwks_url" else "oidc_discovery_ca_pem"
        if mount.text(url) and mount.text(ca) and not mount.text(right):
            yield Seen(ca, f"{url} needs {right}")


def _told(mount: Mount) -> Iterator[Seen]:
    for name, secrets in TELLING.items():
        for key in mount.tuning.texts(name):
            if key in secrets:
                yield Seen(name, key)


METHODS: Final = (
    MountRule(
        code="no_bound_issuer",
        severity=Severity.ERROR,
        weakness="no bound_issuer",
        reason="iss is not looked at, whatever URL the keys come from: a token of another issuer that these keys "
        "signed logs in",
        fix="Write the config again, whole, with bound_issuer; a Vault with jwks_pairs refuses it, so use jwks_url.",
        look=lambda mount: when(not mount.text("bound_issuer").strip(), "bound_issuer"),
    ),
    MountRule(
        code="issuer_without_slash",
        severity=Severity.NOTICE,
        weakness="the bound_issuer does not end with a slash",
        reason="it is compared byte for byte, and the issuer URL of runpass ends with one",
        fix="Compare it with the issuer in the discovery document, and write the config again, whole.",
        look=lambda mount: when(
            mount.text("bound_issuer").strip() and not mount.text("bound_issuer").endswith("/"), "bound_issuer"
        ),
    ),
    MountRule(
        code="stray_space",
        severity=Severity.WARNING,
        weakness="a space around a value",
        reason="it is kept and compared, so every login is refused",
        fix="Write the config again, whole, without it.",
        look=_stray_spaces,
    ),
    MountRule(
        code="keys_in_clear_text",
        severity=Severity.ERROR,
        weakness="keys are fetched without TLS",
        reason="whoever sits between the Vault and the issuer can hand out keys, and so logs in as anybody",
        fix="Use https, with the authority in jwks_ca_pem or oidc_discovery_ca_pem if it is a private one.",
        look=_clear_text,
    ),
    MountRule(
        code="authority_without_use",
        severity=Severity.WARNING,
        weakness="a CA certificate for the other kind of URL",
        reason="jwks_ca_pem counts for jwks_url alone, oidc_discovery_ca_pem for oidc_discovery_url alone",
        fix="Write the config again, whole, with the right one.",
        look=_ca_without_use,
    ),
    MountRule(
        code="browser_client",
        severity=Severity.WARNING,
        weakness="a client id for browser logins",
        reason="HashiCorp Vault then refuses every JWT login with `unsupported config type`; OpenBao does not",
        fix="Use an auth method of its own for runs.",
        look=lambda mount: when(mount.text("oidc_client_id"), "oidc_client_id"),
    ),
    MountRule(
        code="config_invalid",
        severity=Severity.WARNING,
        weakness="the server itself calls the config invalid",
        reason="it could not use its source of keys when it last tried",
        fix="Look at the warning that comes with a read of the config.",
        look=lambda mount: when(mount.text("status") == "invalid", "status"),
    ),
    MountRule(
        code="algorithms_not_limited",
        severity=Severity.NOTICE,
        weakness="every algorithm is allowed",
        reason="RFC 8725 advises a fixed list; the Vault ignores the alg of a published key",
        fix="Write the config again, whole, with jwt_supported_algs set to what the issuer's keys use.",
        look=lambda mount: when(not mount.texts("jwt_supported_algs"), "jwt_supported_algs"),
    ),
    MountRule(
        code="pinned_keys",
        severity=Severity.NOTICE,
        weakness="the keys are written into the config",
        reason="the issuer's next key is not known here until somebody writes it",
        fix="Before every rotation, write the config again with the old and the new key.",
        look=lambda mount: when(mount.data.get("jwt_validation_pubkeys"), "jwt_validation_pubkeys"),
    ),
    MountRule(
        code="default_role",
        severity=Severity.NOTICE,
        weakness="a default role",
        reason="a login that names no role becomes one as this",
        fix="Name the role in every credential, and empty default_role.",
        look=lambda mount: when(mount.text("default_role"), "default_role", mount.text("default_role")),
    ),
    MountRule(
        code="token_in_audit_log",
        severity=Severity.ERROR,
        weakness="tokens stand in Vault's audit log in clear text",
        reason="keys that are named here are not hashed",
        fix="Tune the mount without it.",
        look=_told,
        of_config=False,
    ),
)
