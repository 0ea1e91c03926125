"""Every weakness of the table: found where it is, and not where it is not."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from runpass.server.issuer.claims import supported
from runpass.vault import sweeper
from runpass.vault.desired import Guide, guide
from runpass.vault.lint.claims import KNOWN, NUMBERS, claim_of
from runpass.vault.lint.model import Finding, MountFacts, Severity
from runpass.vault.lint.rules import RULES, lint

ID = "0190aaaa-0000-7000-8000-000000000001"
OTHER = "0190aaaa-0000-7000-8000-000000000002"
ISSUER = "https://runpass.example.com/"
STATE = guide(
    Guide(
        issuer=ISSUER,
        jwks_url=f"{ISSUER}jwks",
        audience="https://runpass.example.com",
        organization_id=UUID(ID),
        credential_id=UUID(ID),
        project_ids=(UUID(ID), UUID(OTHER)),
        role_name="deploy",
    )
)
ROLE = STATE.roles[0].parameters()
CONFIG = {**STATE.auth.config.parameters(), "jwt_supported_algs": ["ES256"]}
TUNING = {"default_lease_ttl": 2764800, "max_lease_ttl": 2764800, "token_type": "default-service"}
POLICIES = {STATE.policies[0].name: STATE.policies[0].text, "default": ""}


def look(
    role: Mapping[str, Any] | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    tuning: Mapping[str, Any] | None = None,
    cel: Mapping[str, Any] | None = None,
    policy: str | None = None,
) -> tuple[Finding, ...]:
    """The guide's role with changes; a parameter that is None is left out."""
    changed = {name: value for name, value in (ROLE | dict(role or {})).items() if value is not None}
    policies = POLICIES if policy is None else {**POLICIES, STATE.policies[0].name: policy}
    facts = MountFacts(
        roles={} if cel is not None else {"deploy": changed},
        cel_roles={} if cel is None else {"deploy": cel},
        config=CONFIG | dict(config or {}),
        tuning=TUNING | dict(tuning or {}),
        policies=policies,
    )
    return lint(facts)


def codes(*arguments: Any, **changes: Any) -> set[str]:
    return {finding.code for finding in look(*arguments, **changes)}


def claims(**changes: Any) -> dict[str, Any]:
    bound = ROLE["bound_claims"] | changes
    return {"bound_claims": {name: value for name, value in bound.items() if value is not ...}}


def glob(**changes: Any) -> dict[str, Any]:
    return claims(**changes) | {"bound_claims_type": "glob"}


def writes(path: str, more: str = "") -> str:
    return f'path "{path}" {{ capabilities = ["update"] {more} }}'


CEL = {
    "bound_audiences": ["a"],
    "cel_program": {"expression": f"claims.organizationId == '{ID}' ? pb.Auth{{}} : false"},
}
CASES: dict[str, list[dict[str, Any]]] = {
    "no_audience": [{"role": {"bound_audiences": []}}, {"role": {"bound_audiences": None}}],
    "cel_no_audience": [{"cel": CEL | {"bound_audiences": []}}],
    "several_audiences": [{"role": {"bound_audiences": ["a", "b"]}}],
    "audience_with_slash": [{"role": {"bound_audiences": [ISSUER]}}],
    "organization_not_bound": [{"role": claims(organizationId=...)}, {"cel": {"cel_program": {"expression": "true"}}}],
    "credential_not_bound": [{"role": claims(credentialId=...)}, {"cel": CEL}],
    "project_not_bound": [{"role": claims(projectId=...)}],
    "api_key_type_not_bound": [{"role": claims(apiKeyType=...)}],
    "glob_in_id": [
        {"role": glob(organizationId="*")},
        {"role": glob(projectId=[ID, "0190*"])},
        {"role": glob(organizationId=..., **{"/organizationId": "*"})},
        {"role": glob(sub="*")},
    ],
    "glob_on_name": [{"role": glob(projectName="team-*")}],
    "glob": [
        {"role": glob(repository="https://github.com/acme*")},
        {"role": glob(sub=f"{ID}:projectId:{ID}:*")},
    ],
    "star_without_glob": [{"role": claims(repository="https://github.com/acme/*")}],
    "mutable_name": [
        {"role": claims(**{name: "x"})}
        for name in ("projectName", "environmentName", "organizationName", "templateName", "deployerEmail")
    ],
    "unknown_claim": [{"role": claims(organisationId=ID)}, {"role": {"user_claim": "environmentID"}}],
    "never_matches": [
        {"role": claims(projectId=[])},
        {"role": claims(phase=True)},
        {"role": claims(phase=[1.5])},
        {"role": claims(exp="5")},
        {"role": claims(projectId=f"{ID},{OTHER}")},
        {"role": claims(phase=[["apply"]])},
    ],
    "not_an_id": [{"role": claims(projectId=ID.upper())}, {"role": claims(credentialId="production")}],
    "leftover_subject": [{"role": {"bound_subject": "somebody"}}],
    "groups_claim": [{"role": {"groups_claim": "groups"}}],
    "role_type": [{"role": {"role_type": "oidc"}}],
    "shared_identity": [{"role": {"user_claim": name}} for name in ("organizationId", "iss", "aud", "sub")]
    + [{"role": {"user_claim": "/organizationId", "user_claim_json_pointer": True}}],
    "identity_per_run": [{"role": {"user_claim": name}} for name in ("jti", "deploymentLogId")],
    "mutable_identity": [{"role": {"user_claim": "environmentName"}}],
    "identity_not_text": [{"role": {"user_claim": "iat"}}],
    "no_ttl": [{"role": {"token_ttl": 0, "token_explicit_max_ttl": 0}}],
    "long_ttl": [{"role": {"token_ttl": 7200, "token_explicit_max_ttl": 7200}}, {"role": {
        "token_period": "2h", "token_explicit_max_ttl": "3h"}}],
    "no_cap": [{"role": {"token_explicit_max_ttl": 0}}],
    "period_without_cap": [{"role": {"token_period": 60, "token_explicit_max_ttl": 0}}],
    "long_cap": [{"role": {"token_explicit_max_ttl": 86401}}],
    "clock_skew": [{"role": {"clock_skew_leeway": 301}}, {"cel": CEL | {"clock_skew_leeway": 7200}}],
    "no_leeway": [{"role": {"clock_skew_leeway": -1}}],
    "leeway_without_effect": [{"role": {"expiration_leeway": 3600}}],
    "batch": [
        {"role": {"token_type": "batch"}},
        {"tuning": {"token_type": "batch"}},
        {"role": {"token_type": "default"}, "tuning": {"token_type": "default-batch"}},
    ],
    "cannot_revoke": [{"role": {"token_no_default_policy": True}}],
    "num_uses": [{"role": {"token_num_uses": 5}}],
    "templated_policy": [{"role": {"token_policies": ["{{.projectName}}"], "token_policies_template_claims": True}}],
    "mapping_not_text": [{"role": {"claim_mappings": {"iat": "iat", "deploymentLogId": "x"}}}],
    "run_not_in_metadata": [{"role": {"claim_mappings": None}}],
    "old_names": [{"role": {"ttl": 120}}],
    "verbose_logging": [{"role": {"verbose_oidc_logging": True}}],
    "cel_ttl": [{"cel": CEL}],
    "cel_role": [{"cel": CEL}],
    "root_policy": [{"role": {"token_policies": ["Root"]}}],
    "policy_everything": [{"policy": 'path "*" { capabilities = ["read"] }'}],
    "policy_rewrites_roles": [
        {"policy": writes(path)}
        for path in ("auth/jwt/role/*", "auth/*", "auth/+/role/other", "au*", "auth/jwt/ro*", "auth/jwt/cel/role/x")
    ] + [{"policy": '{"path": {"auth/jwt/role/*": {"capabilities": ["create"]}}}'}]
    + [{"policy": 'path "auth/jwt/role/*" { policy = "write" }'}],
    "policy_rewrites_config": [{"policy": writes("auth/jwt/config")}, {"policy": writes("auth/+/config")}],
    "policy_administers": [
        {"policy": writes(path)} for path in ("sys/policies/acl/app", "sys/*", "sys/auth/jwt", "sys/mounts/kv")
    ],
    "policy_changes_identity": [{"policy": writes("identity/*")}, {"policy": writes("identity/entity/id/+")}],
    "policy_makes_orphans": [{"policy": writes("auth/token/create-orphan")}, {"policy": writes("auth/token/create/x")}],
    "policy_revokes_others": [{"policy": writes("auth/token/revoke-accessor")}, {"policy": writes("sys/leases/+/x")}],
    "policy_missing": [{"role": {"token_policies": ["app"]}, "policies": {"app": None}}],
    "policy_not_understood": [{"policy": "this is not a policy"}],
    "no_policies": [{"role": {"token_policies": []}}],
    "no_bound_issuer": [{"config": {"bound_issuer": ""}}],
    "issuer_without_slash": [{"config": {"bound_issuer": "https://runpass.example.com"}}],
    "stray_space": [{"config": {"jwks_url": "https://runpass.example.com/jwks "}}],
    "keys_in_clear_text": [
        {"config": {"jwks_url": "http://runpass.example.com/jwks"}},
        {"config": {"jwks_url": "", "jwks_pairs": [{"jwks_url": "http://10.0.0.1/"}]}},
    ],
    "authority_without_use": [
        {"config": {"oidc_discovery_ca_pem": "x"}},
        {"config": {"jwks_url": "", "oidc_discovery_url": ISSUER, "jwks_ca_pem": "x"}},
    ],
    "browser_client": [{"config": {"oidc_client_id": "x"}}],
    "config_invalid": [{"config": {"status": "invalid"}}],
    "algorithms_not_limited": [{"config": {"jwt_supported_algs": []}}],
    "pinned_keys": [{"config": {"jwks_url": "", "jwt_validation_pubkeys": ["x"]}}],
    "default_role": [{"config": {"default_role": "deploy"}}],
    "token_in_audit_log": [{"tuning": {"audit_non_hmac_request_keys": ["jwt"]}}],
}  # fmt: skip


def found(case: dict[str, Any]) -> tuple[Finding, ...]:
    if "policies" in case:
        facts = MountFacts(roles={"deploy": ROLE | case["role"]}, policies=case["policies"])
        return lint(facts)
    return look(**case)


def test_the_guides_role_has_none():
    assert look() == ()


def test_every_weakness_has_a_case_here():
    assert set(CASES) == {rule.code for rule in RULES}
    assert len({rule.code for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(("code", "case"), [(code, case) for code, cases in CASES.items() for case in cases])
def test_it_is_found_with_its_place_its_reason_and_its_fix(code, case):
    [finding, *_] = [finding for finding in found(case) if finding.code == code]
    assert finding.where.startswith("auth/jwt")
    assert finding.reason
    assert finding.fix


HARMLESS = {
    "a subject that is the organization": {"role": {"bound_subject": ID}},
    "a pointer that means the claim": {"role": claims(organizationId=..., **{"/organizationId": ID})},
    "the mount's service tokens before the role's batch": {
        "role": {"token_type": "batch"},
        "tuning": {"token_type": "service"},
    },
    "a short lease of the mount": {"role": {"token_ttl": 0}, "tuning": {"default_lease_ttl": 300}},
    "a maximum instead of a TTL": {"role": {"token_ttl": 0, "token_max_ttl": "15m"}},
    "its own policy lets it revoke itself": {
        "role": {"token_no_default_policy": True},
        "policy": writes("auth/token/revoke-self"),
    },
    "reading what others may write": {
        "policy": 'path "auth/*" { capabilities = ["read"] }\n' + writes("sys/leases/renew"),
    },
    "a config write whose parameters are pinned": {
        "policy": writes(
            "auth/jwt/config",
            'required_parameters = ["jwks_url"] allowed_parameters = { "jwks_url" = ["https://a"] }',
        )
    },
    "a rule in a comment at the end of a line": {
        "policy": 'path "kv/data/*" { capabilities = ["read"] } # path "sys/*" { capabilities = ["update"] }'
    },
    "keys from this very machine": {"config": {"jwks_url": "http://127.0.0.1:1/jwks"}},
    "a comment that looks like a rule": {
        "policy": '/* path "sys/*" { capabilities = ["sudo"] } */ ' + writes("kv/data/x")
    },
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_harmless_is_not_found(case):
    assert look(**HARMLESS[case]) == ()


def test_a_narrower_deny_takes_an_allowance_away():
    allowed = 'path "auth/*" { capabilities = ["update"] }'
    denied = 'path "auth/jwt/role/*" { capabilities = ["deny"] } path "auth/jwt/cel/role/*" { capabilities = ["deny"] }'
    assert "policy_rewrites_roles" in codes(policy=allowed)
    assert "policy_rewrites_roles" not in codes(policy=f"{allowed}\n{denied}")


def test_a_policy_of_the_root_namespace_may_name_the_path_below_it():
    facts = MountFacts(
        namespace="team", roles={"deploy": ROLE}, policies={STATE.policies[0].name: writes("team/auth/jwt/role/*")}
    )
    assert [finding.code for finding in lint(facts)] == ["policy_rewrites_roles"]


def test_the_sweepers_role_is_judged_by_what_the_sweeper_is():
    role = sweeper.role(UUID(ID)).parameters()
    facts = MountFacts(roles={sweeper.NAME: role}, policies={sweeper.NAME: sweeper.POLICY})
    assert lint(facts) == ()
    wider = {sweeper.NAME: sweeper.POLICY + writes("sys/auth/*")}
    assert [finding.code for finding in lint(MountFacts(roles={"s": role}, policies=wider))] == ["policy_administers"]


def test_a_fix_with_a_value_that_is_right_for_all_is_a_command():
    [finding] = [item for item in look({"bound_subject": "x y"}) if item.code == "leftover_subject"]
    command = "bao write auth/jwt/role/deploy role_type=jwt bound_claims_type=string bound_subject="
    assert finding.fix.endswith(command)


def test_the_worst_come_first_and_each_once():
    severities = [
        finding.severity for finding in look({"bound_audiences": [], "claim_mappings": {}, "token_num_uses": 1})
    ]
    assert severities == sorted(severities, key=lambda severity: severity.rank)
    assert severities[0] is Severity.ERROR
    assert severities[-1] is Severity.NOTICE


def test_what_was_not_read_is_not_judged():
    assert lint(MountFacts()) == ()
    assert "no_bound_issuer" not in {finding.code for finding in lint(MountFacts(roles={"deploy": ROLE}))}


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, True, "x", [], {}, [None, 1, {}], {"a": {"b": [1]}}, "\x1b[31m" * 1000]
)
def test_whatever_stands_in_a_parameter_is_bounded_and_printable(value):
    for name in (*ROLE, "policies", "cel_program"):
        for finding in (*look({name: value}), *look(cel={name: value})):
            for text in finding.to_json().values():
                assert text.isprintable()
                assert len(text) < 4_000


def test_every_claim_of_the_issuer_is_known():
    names = set(supported())
    assert {claim_of(name) for name in names} - KNOWN == set()
    assert names >= NUMBERS


SUBJECT = f"{ID}:projectId:{ID}:credentialId:{ID}"


@pytest.mark.parametrize("parameters", [{"bound_subject": SUBJECT}, {"bound_claims": {"sub": SUBJECT}}])
def test_a_subject_from_a_template_binds_what_it_is_made_of(parameters):
    about = {"organization_not_bound", "project_not_bound", "credential_not_bound", "leftover_subject", "not_an_id"}
    assert not about & codes({"bound_claims": {}} | parameters)


def test_a_subject_of_something_else_binds_nothing_more():
    found = codes({"bound_claims": {}, "bound_subject": f"{ID}:projectId:x"})
    assert {"project_not_bound", "credential_not_bound", "leftover_subject"} <= found
    found = codes(claims(sub=[SUBJECT, OTHER], projectId=..., credentialId=...))
    assert {"project_not_bound", "credential_not_bound"} <= found


def test_a_pattern_for_sub_may_not_begin_before_the_end_of_the_organizations_id():
    for pattern in (f"{ID}*", f"{ID[:8]}*:projectId:{ID}", "*:projectId:*"):
        assert "glob_in_id" in codes(glob(sub=pattern))
    assert "glob_in_id" not in codes(glob(sub=f"{ID}:*"))


def test_env0s_older_names_mean_the_same_claims():
    prefixed = {f"https://env0.com/{name}": value for name, value in ROLE["bound_claims"].items()}
    assert codes({"bound_claims": prefixed}) == codes({})
