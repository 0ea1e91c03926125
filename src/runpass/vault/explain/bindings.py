"""The checks of what the role asks of the claims, and what comes of them. In the server's order. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from runpass.vault.explain import templates
from runpass.vault.explain.claims import NotAGlob, Number, Uncomparable, as_list, bound, claim, is_text, matches
from runpass.vault.explain.door import named
from runpass.vault.explain.facts import Parameters, bind_audience, said, write_role
from runpass.vault.explain.go_text import quoted, shown
from runpass.vault.explain.model import Check, Granted, LoginCase

CLAIMS: Final = "error validating claims: "
BROKEN_OFF: Final = "the server closes the connection without an answer: a list or a map stands in both lists"
WRAPPING: Final = "response-wrapping"
NO_AUDIENCES: Final = "audience claim found in JWT but no audiences bound to the role"
_NOT_BINDABLE: Final = (
    "No value can be bound that matches this: the server compares texts, booleans and whole numbers, of a list its"
    " texts and booleans, and for globs texts alone."
)
_SERVER_ERROR: Final = 500


def checks(case: LoginCase, claims: Mapping[str, Any]) -> Iterator[Check]:
    """Give the checks."""
    role = Parameters(case.role or {})
    yield _audiences_bound(case, role, claims)
    yield _user_claim(case, role, claims)
    yield from _mappings(case, role, claims)
    yield from _groups(case, role, claims)
    yield from _bound(case, role, claims)
    yield from templates.checks(case, role, claims)
    yield _entity(case, role, claims)
    yield _root(case, role, claims)
    yield _assignable(case, role, claims)


def _audiences_bound(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Check:
    received = claim(claims, "aud")
    if (
        case.server == "vault"
        and isinstance(claims.get("aud"), str)
        and (case.version < (1, 16, 3) or not claims["aud"])
    ):
        received = []  # HCSEC-2024-11: a single audience was not looked at
    return Check(
        name="audiences bound",
        passed=bool(role.texts("bound_audiences")) or not received,
        expected="bound_audiences, since the token has an audience",
        received=said(role.texts("bound_audiences")),
        fix=bind_audience(case, received),
        errors=(NO_AUDIENCES,),
    )


def _user_claim(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Check:
    name = role.text("user_claim")
    found = claim(claims, name) if role.flag("user_claim_json_pointer") else claims.get(name)
    is_text = isinstance(found, str) and not isinstance(found, Number)
    sentence = f"claim {quoted(name)} not found in token"
    if found is not None:
        sentence = f"claim {quoted(name)} could not be converted to string"
    return Check(
        name="user claim",
        passed=is_text,
        expected=f"{said(name)} as a text",
        received=said(found),
        fix=_name_by(case, claims),
        errors=(sentence,),
    )


def _name_by(case: LoginCase, claims: Mapping[str, Any]) -> str:
    for name in ("environmentId", "sub"):
        if isinstance(claims.get(name), str) and claims[name]:
            return write_role(case, user_claim=name, user_claim_json_pointer=False)
    return "Set user_claim of the role to a claim that every token has as a text, or mint tokens with this one."


def _mappings(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Iterator[Check]:
    mappings = role.mapping("claim_mappings")
    for source, target in mappings.items():
        found = claim(claims, source)
        kept = {name: key for name, key in mappings.items() if name != source}
        yield Check(
            name=f"claim mapping {said(source)}",
            passed=found is None or (isinstance(found, str) and not isinstance(found, Number)),
            expected=f"a text, or nothing, for the metadata {said(target)}",
            received=said(found),
            fix=write_role(case, claim_mappings=kept),
            errors=(f"error converting claim '{source}' to string",),
        )


def _groups(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Iterator[Check]:
    name = role.text("groups_claim")
    if not name:
        return
    found = claim(claims, name)
    sentence = _not_groups(name, found)
    yield Check(
        name="groups claim",
        passed=sentence is None,
        expected=f"{said(name)} as a list of texts",
        received=said(found),
        fix=write_role(case, groups_claim=""),
        errors=(sentence,) if sentence else (),
    )


def _not_groups(name: str, found: Any) -> str | None:
    if found is None:
        return f"failed to fetch groups: {quoted(name)} claim not found in token"
    groups = as_list(found)
    if groups is None:
        return f"{quoted(name)} claim could not be converted to string list"
    wrong = next((item for item in groups if not isinstance(item, str) or isinstance(item, Number)), "")
    return None if wrong == "" else f"value {shown(wrong)} in groups claim could not be parsed as string"


def _bound(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Iterator[Check]:
    wanted = role.mapping("bound_claims")
    globs = role.text("bound_claims_type") == "glob"
    for name, expected in wanted.items():
        found = claim(claims, name)
        sentence = _not_bound(case, name, expected, found, globs=globs)
        meant = "any of " if isinstance(expected, list) else ""
        yield Check(
            name=f"bound claim {said(name)}",
            passed=sentence is None,
            expected=f"{meant}{said(expected)}{' (* is any text)' if globs else ''}",
            received="missing" if found is None else said(found),
            fix=_bind_fix(case, wanted, name, found),
            errors=(f"{CLAIMS}{sentence}",) if sentence else (),
        )


def _not_bound(case: LoginCase, name: str, expected: Any, found: Any, *, globs: bool) -> str | None:
    """Give why a bound claim does not match; None where it does."""
    if found is None:
        return f"claim {quoted(name)} is missing"
    received, wanted = as_list(found), bound(expected)
    words = "string, bool, int or list"
    if case.server == "vault" and case.version < (1, 16):
        words = "string or list"
        if received is not None and not isinstance(found, str | list):
            received = None
    if received is None:
        return f"received claim is not a {words}: {shown(found)}"
    if wanted is None:
        return f"bound claim is not a {words}: {shown(expected)}"
    return _unmatched(name, wanted, received, globs=globs)


def _unmatched(name: str, wanted: list[Any], received: list[Any], *, globs: bool) -> str | None:
    try:
        if matches(wanted, received, globs=globs):
            return None
    except Uncomparable:
        return BROKEN_OFF
    except NotAGlob as error:
        return str(error)
    return f"claim {quoted(name)} does not match any associated bound claim values"


def _bind_fix(case: LoginCase, wanted: Mapping[str, Any], name: str, found: Any) -> str:
    if isinstance(found, Mapping):
        return "Bind a value inside it, by JSON pointer: /name/inner."
    globs = Parameters(case.role or {}).text("bound_claims_type") == "glob"
    if globs:  # the server takes no role of globs that binds anything but texts
        wanted = {key: texts for key, value in wanted.items() if (texts := list(filter(is_text, _items(value))))}
    more = [item for item in map(_bindable, _items(found)) if is_text(item) or (item is not None and not globs)]
    if not more:
        kept = {key: value for key, value in wanted.items() if key != name}
        why = "The token has no such claim." if found is None else _NOT_BINDABLE
        return f"{why} If the role need not bind it:\n{write_role(case, bound_claims=kept)}"
    before = _items(wanted.get(name, []))
    command = write_role(case, bound_claims={**wanted, name: [*before, *more]})
    return f"If runs with this value are meant to log in, too:\n{command}"


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _bindable(item: Any) -> Any:
    """Give a value as a role can bind it; None where it never matches: a number inside a list, a list, a map."""
    if isinstance(item, Number):
        return int(item)
    return item if isinstance(item, str | bool) else None


def _entity(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Check:
    return Check(
        name="entity alias",
        passed=_alias(role, claims) != "",
        expected="a user claim that is not empty",
        received=said(_alias(role, claims)),
        fix=_name_by(case, claims),
        errors=("missing name in alias",),
        status=_SERVER_ERROR,
    )


def _root(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Check:
    policies = _policies(role, claims)
    return Check(
        name="no root policy",
        passed="root" not in policies,
        expected="policies without root",
        received=said(list(policies)),
        fix=write_role(case, token_policies=_without("root", role, claims)),
        errors=("auth methods cannot create root tokens",),
    )


def _assignable(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Check:
    policies = _policies(role, claims)
    return Check(
        name="assignable policies",
        passed=WRAPPING not in policies,
        expected=f"policies without {WRAPPING}, which is the server's own",
        received=said(list(policies)),
        fix=write_role(case, token_policies=_without(WRAPPING, role, claims)),
        errors=(f"cannot assign policy {quoted(WRAPPING)}",),
    )


def _without(policy: str, role: Parameters, claims: Mapping[str, Any]) -> list[str]:
    """Give the role's policies without those that are, or become, this one."""
    return [item for item in role.texts("token_policies") if _written(item, role, claims) != policy]


def _written(policy: str, role: Parameters, claims: Mapping[str, Any]) -> str:
    text = templates.filled(policy, claims) if role.flag("token_policies_template_claims") else policy
    return text.strip().lower()


def _policies(role: Parameters, claims: Mapping[str, Any]) -> tuple[str, ...]:
    found = {_written(item, role, claims) for item in role.texts("token_policies")} - {""}
    return tuple(sorted(found if role.flag("token_no_default_policy") else found | {"default"}))


def _alias(role: Parameters, claims: Mapping[str, Any]) -> Any:
    name = role.text("user_claim")
    return claim(claims, name) if role.flag("user_claim_json_pointer") else claims.get(name)


def granted(case: LoginCase, claims: Mapping[str, Any]) -> Granted:
    """Give what the token of an accepted login will be."""
    role = Parameters(case.role or {})
    alias = str(_alias(role, claims))
    mapped = {target: claim(claims, source) for source, target in role.mapping("claim_mappings").items()}
    kind = role.text("token_type")
    kind = "service" if kind in {"", "default", "default-service"} else kind.removeprefix("default-")
    return Granted(
        policies=_policies(role, claims),
        metadata={**{key: value for key, value in mapped.items() if isinstance(value, str)}, "role": named(case)},
        display_name=f"{case.mount.replace('/', '-')}-{alias}",
        alias=alias,
        token_type=kind,
        ttl_seconds=_ttl(role),
        max_ttl_seconds=role.number("token_max_ttl"),
        explicit_max_ttl_seconds=role.number("token_explicit_max_ttl"),
        period_seconds=role.number("token_period"),
        num_uses=role.number("token_num_uses"),
        renewable=kind != "batch",
    )


def _ttl(role: Parameters) -> int:
    """Give the seconds that the token lives at first; 0: the mount's or the system's default."""
    period = role.number("token_period")
    wanted = period or role.number("token_ttl")
    limits = [role.number("token_explicit_max_ttl"), 0 if period else role.number("token_max_ttl"), wanted]
    return min((limit for limit in limits if limit), default=0)
