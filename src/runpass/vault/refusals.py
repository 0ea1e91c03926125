"""Why a JWT login was refused: one class per reason, recognised by the words that Vault and OpenBao share.

The auth method answers HTTP 400 (a few 500s) with one sentence and no code. All versions of the plugin wrap the
reason in the same phrases, so a phrase is searched, never the whole text compared. The first failing check wins at
the Vault: mending one may uncover the next. Order here is the order in which the phrases must be looked for.
"""

from typing import ClassVar

from runpass.vault.answer import VaultAnswer
from runpass.vault.errors import LoginRefused, Place, visible


class Refusal(LoginRefused):
    """A refusal whose reason is known: `phrases` recognise it, `sentence` and `advice` explain it."""

    phrases: ClassVar[tuple[str, ...]] = ()
    sentence: ClassVar[str] = "the auth method refused the login"
    advice: ClassVar[str] = "Vault's own words say why."


class OtherReason(Refusal):
    """A reason in words that this version does not know."""

    code = "login_refused"


class AuthMountNotFound(Refusal):
    """403, or 404 for whoever sends a token: no such auth mount, or this client's address is not allowed."""

    code = "auth_mount_not_found"
    sentence = "there is no auth method here, or the role does not allow this machine's IP address"
    advice = (
        "Check the auth mount path (it is case-sensitive and written without auth/) and the namespace; "
        "if both are right, check token_bound_cidrs of the role."
    )


class NotConfigured(Refusal):
    """The auth method is mounted and has no configuration."""

    code = "not_configured"
    phrases = ("could not load configuration",)
    sentence = "the auth method is mounted but not configured"
    advice = "Write jwks_url and bound_issuer to the auth method's config."


class RoleMissing(Refusal):
    """No role was named."""

    code = "role_missing"
    phrases = ("missing role",)
    sentence = "no role was given and the auth method has no default role"
    advice = "Give the credential a role name."


class RoleNotFound(Refusal):
    """There is no role of this name."""

    code = "role_not_found"
    phrases = ('" could not be found',)
    sentence = "the role does not exist at this auth method"
    advice = (
        "Check the role's name, the auth mount path and the namespace; list the roles with: bao list auth/<mount>/role"
    )


class RoleType(Refusal):
    """The role is for browser logins."""

    code = "role_type"
    phrases = ("role with oidc role_type is not allowed",)
    sentence = "the role is an oidc role, for people with a browser"
    advice = "Write the role with role_type=jwt."


class TokenMissing(Refusal):
    """The login carried no JWT."""

    code = "token_missing"
    phrases = ("missing token",)
    sentence = "the login carried no identity token"
    advice = "This is a fault of the caller, not of the Vault's configuration."


class ValidatorNotUsable(Refusal):
    """The auth method's key source cannot be used."""

    code = "key_source_unusable"
    phrases = ("error configuring token validator",)
    sentence = "the auth method cannot use its configured key source"
    advice = (
        "The Vault must reach the discovery URL of its config; if it has a client id, use a jwks_url mount instead."
    )


class JwksUnreachable(Refusal):
    """The Vault could not fetch or read the issuer's keys."""

    code = "jwks_unreachable"
    phrases = ("fetching keys",)
    sentence = "the Vault could not fetch the issuer's public keys, or could not read them"
    advice = (
        "From the Vault's machine, open the jwks_url of the auth method's config: check name resolution, firewalls, "
        "proxies and, for https, jwks_ca_pem."
    )


class Malformed(Refusal):
    """What was sent is not a JWT that the Vault can parse."""

    code = "malformed"
    phrases = ("malformed jwt", "compact JWS format", "unexpected signature algorithm")
    sentence = "the identity token is not a JWT that the Vault can read, or names an algorithm it never accepts"
    advice = "Send the token as issued, without quotes or 'Bearer'; it must be signed with RS, PS, ES or EdDSA."


class BadSignature(Refusal):
    """No key of the key source made this signature."""

    code = "signature"
    phrases = (
        "failed to verify id token signature",
        "no known key successfully validated",
        "verifying token signature",
    )
    sentence = "the signature of the identity token fits none of the keys that the Vault knows"
    advice = (
        "Check that the auth method's jwks_url belongs to this issuer. After a key was replaced, "
        "writing the same config again makes the Vault fetch the keys anew."
    )


class AmbiguousClaim(Refusal):
    """Two claims differ only in the case of their letters."""

    code = "ambiguous_claim"
    phrases = ("ambiguous claim",)
    sentence = "two claims of the identity token differ only in upper and lower case"
    advice = "The issuer must not write such claims."


class Algorithm(Refusal):
    """The signature algorithm is not among those allowed."""

    code = "algorithm"
    phrases = ("unexpected algorithm", "invalid algorithm (alg)")
    sentence = "the auth method does not allow the algorithm that signed the identity token"
    advice = "Add the issuer's algorithm to jwt_supported_algs of the auth method's config, or clear that list."


class Issuer(Refusal):
    """`iss` is not the bound issuer."""

    code = "issuer"
    phrases = ("invalid issuer (iss)",)
    sentence = "the issuer of the identity token is not the bound_issuer of the auth method"
    advice = "bound_issuer must equal the issuer byte for byte, including a slash at the end."


class Subject(Refusal):
    """`sub` is not the bound subject."""

    code = "subject"
    phrases = ("invalid subject (sub)",)
    sentence = "the subject of the identity token is not the bound_subject of the role"
    advice = "Clear bound_subject and bind claims instead, or write the exact subject: it never matches a pattern."


class Audience(Refusal):
    """`aud` is not one of the bound audiences, or the role binds none."""

    code = "audience"
    phrases = ("invalid audience (aud)", "no audiences bound to the role")
    sentence = "the audience of the identity token is not among the bound_audiences of the role"
    advice = "Add the issuer's audience to bound_audiences of the role, byte for byte; a role without any refuses all."


class NoTimeClaims(Refusal):
    """None of iat, nbf and exp is in the token."""

    code = "no_time_claims"
    phrases = ("no issued at (iat), not before (nbf), or expiration time (exp)",)
    sentence = "the identity token carries no time claim at all"
    advice = "The issuer must write iat, nbf and exp."


class NotYetValid(Refusal):
    """The token's time has not come."""

    code = "not_yet_valid"
    phrases = ("token not yet valid", "token issued in the future")
    sentence = "the identity token is not valid yet by the Vault's clock"
    advice = "Compare the clocks of the issuer and the Vault; a minute of difference is forgiven by default."


class Expired(Refusal):
    """The token's time is over."""

    code = "expired"
    phrases = ("token is expired",)
    sentence = "the identity token has expired by the Vault's clock"
    advice = "Ask for a fresh identity token, and compare the clocks of the issuer and the Vault."


class BoundClaim(Refusal):
    """A bound claim is missing from the token or has another value."""

    code = "bound_claim"
    phrases = ("error validating claims", "does not match any associated bound claim values")
    sentence = "a claim of the identity token is not what the role's bound_claims ask for"
    advice = (
        "Compare the claim that Vault names with bound_claims of the role; values are compared with their type, "
        "and a * only counts with bound_claims_type=glob."
    )


class GroupsClaim(Refusal):
    """The groups claim is missing or not a list of strings."""

    code = "groups_claim"
    phrases = ("failed to fetch groups", "in groups claim could not be parsed", "could not be converted to string list")
    sentence = "the role's groups_claim is not a list of strings in the identity token"
    advice = "Clear groups_claim of the role, or name a claim that is a list of strings."


class ClaimMapping(Refusal):
    """A mapped claim is not a string."""

    code = "claim_mapping"
    phrases = ("error converting claim",)
    sentence = "a claim that the role's claim_mappings copy is not a string"
    advice = "Take that claim out of claim_mappings of the role."


class UserClaim(Refusal):
    """The claim that names the user is missing, empty or not a string."""

    code = "user_claim"
    phrases = ("missing name in alias", "could not be converted to string", "not found in token")
    sentence = "the role's user_claim is missing from the identity token, empty, or not a string"
    advice = "Set user_claim of the role to a claim that every token carries, such as environmentId."


class PolicyTemplate(Refusal):
    """A templated policy name of the role could not be filled."""

    code = "policy_template"
    phrases = ("failed to template policy",)
    sentence = "a templated policy of the role could not be filled from the identity token"
    advice = "Check token_policies of the role against the claims of the token."


class RootPolicy(Refusal):
    """The role asks for the root policy."""

    code = "root_policy"
    phrases = ("cannot create root tokens",)
    sentence = "the role asks for the root policy, which no login may have"
    advice = "Take root out of token_policies of the role."


class ClaimType(Refusal):
    """A registered claim has a type it must not have."""

    code = "claim_type"
    phrases = ("cannot unmarshal", "to unmarshal")
    sentence = "a registered claim of the identity token has the wrong type"
    advice = "iss and sub must be strings, aud a string or a list of strings, iat, nbf and exp numbers (RFC 7519)."


REASONS: tuple[type[Refusal], ...] = (
    JwksUnreachable, ValidatorNotUsable, NotConfigured, RoleMissing, RoleNotFound, RoleType, TokenMissing, Malformed,
    AmbiguousClaim, Algorithm, Issuer, Subject, Audience, NoTimeClaims, NotYetValid, Expired, BoundClaim, GroupsClaim,
    ClaimMapping, PolicyTemplate, RootPolicy, UserClaim, ClaimType, BadSignature,
)  # fmt: skip
"""Looked through in this order. The two that repeat what somebody else's server answered come first, so that no
phrase in such an answer decides; what wraps another reason ("error verifying token signature") comes last."""


def reason_of(vault_error: str) -> type[Refusal]:
    """Give the class of a refused login from Vault's own words; `OtherReason` when they are not known."""
    for reason in REASONS:
        if any(phrase in vault_error for phrase in reason.phrases):
            return reason
    return OtherReason


def login_refused(answer: VaultAnswer, place: Place, mount: str, role: str) -> Refusal:
    """Give the refusal that an answer to a login means; `mount` is written without `auth/`."""
    text = "; ".join(answer.errors)
    unmounted = answer.status in {403, 404} or "missing client token" in text
    reason: type[Refusal] = AuthMountNotFound if unmounted else reason_of(text)
    where = Place(place.address, place.namespace)
    return reason(
        f"{where} refused the login at auth/{visible(mount, 255)} as role {visible(role, 255)}: {reason.sentence}",
        hint=reason.advice,
        vault_error=answer.vault_error,
        status=answer.status,
    )
