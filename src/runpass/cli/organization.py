"""`runpass organization`: the organization and its policies."""

from typing import Annotated, Literal

import typer

from runpass.cli import subject
from runpass.cli.connecting import Answer, connected
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, print_pairs, say
from runpass.errors import InvalidInput

app = typer.Typer(help="Show the organization and change its policies.")
app.add_typer(subject.app, name="subject")
_NONE = subject.NONE
_MAX_TTL = "How long environments may live at most: 12-h, 3-d, 1-w, 1-M; none for no limit."
_AUDIENCES = "An audience that jobs may ask identity tokens for, or its beginning and *; once for each. none: any."
_PREFIXED = "Give tokens env0's claims a second time, as https://env0.com/<name>."
_TAGS = "Give tokens AWS session tags."
_TRANSITIVE = "A session tag that AWS hands on when roles are chained; once for each. none: none."
_ISSUER = "Whose tokens runs get. prepared: still the shared issuer's, with the own one's keys published already."
_DEFAULT_TTL = "How long an environment lives whose request says nothing; none for no limit."


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show the organization of the API key."""
    with connected() as api:
        _print(api.organization(), as_json=as_json)


@app.command()
def policy(  # noqa: PLR0913 -- one option for each policy
    *,
    enable_oidc: Annotated[
        bool | None,
        typer.Option(
            "--enable-oidc/--no-enable-oidc", help="Give every job a token of its own, even without a credential."
        ),
    ] = None,
    allow_clear_text_vault: Annotated[
        bool | None,
        typer.Option(
            "--allow-clear-text-vault/--no-allow-clear-text-vault",
            help="Let credentials name an http:// Vault on another machine.",
        ),
    ] = None,
    requires_approval: Annotated[
        bool | None,
        typer.Option("--requires-approval/--no-requires-approval", help="Let every plan wait for an approval."),
    ] = None,
    max_ttl: Annotated[str | None, typer.Option(metavar="LIFETIME", help=_MAX_TTL)] = None,
    default_ttl: Annotated[str | None, typer.Option(metavar="LIFETIME", help=_DEFAULT_TTL)] = None,
    identity_issuer: Annotated[Literal["shared", "prepared", "own"] | None, typer.Option(help=_ISSUER)] = None,
    allow_audience: Annotated[list[str] | None, typer.Option(metavar="AUDIENCE", help=_AUDIENCES)] = None,
    identity_subject: Annotated[str | None, typer.Option("--subject", metavar="CLAIMS", help=subject.TEMPLATE)] = None,
    prefixed_claims: Annotated[
        bool | None, typer.Option("--prefixed-claims/--no-prefixed-claims", help=_PREFIXED)
    ] = None,
    aws_tags: Annotated[bool | None, typer.Option("--aws-tags/--no-aws-tags", help=_TAGS)] = None,
    aws_transitive_tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help=_TRANSITIVE)] = None,
    as_json: AsJson = False,
) -> None:
    """Change policies; what is left out stays as it is."""
    wanted: dict[str, object] = {
        "enableOidc": enable_oidc,
        "allowClearTextVault": allow_clear_text_vault,
        "requiresApproval": requires_approval,
        "maxTtl": max_ttl,
        "defaultTtl": default_ttl,
        "identityPrefixedClaims": prefixed_claims,
        "identityAwsTags": aws_tags,
        "identityIssuer": identity_issuer,
    }
    wanted["allowedIdentityAudiences"] = _NONE if allow_audience == [_NONE] else allow_audience
    wanted["identityAwsTransitiveTags"] = _NONE if aws_transitive_tag == [_NONE] else aws_transitive_tag
    if identity_subject is not None:
        wanted["identitySubject"] = subject.template_of(identity_subject) or _NONE
    body = {name: None if value == _NONE else value for name, value in wanted.items() if value is not None}
    if not body:
        raise InvalidInput("say which policy to change", hint="runpass organization policy --help")
    with connected() as api:
        answer = api.one("POST", "/organizations", api.organization_id, "policies", body=body)
        recorded = api.many("/organizations", api.organization_id, "recorded-issuers") if identity_issuer else []
    _warn([one for one in recorded if not one["takesTokens"]])
    _print(answer, as_json=as_json)


def _warn(refusing: list[Answer]) -> None:
    """Name the Vaults that refuse every run from now on, as far as `runpass vault apply` recorded them."""
    for one in refusing:
        place = f"{one['address']} auth/{one['authMountPath']}"
        say(f"warning: {place} (credential {one['credentialName']}) still trusts {one['issuer']}")
    if refusing:
        say("their runs are refused until you write the config again: runpass vault apply --take-over")


def _audiences(answer: Answer) -> str:
    allowed = answer["allowedIdentityAudiences"]
    return "any" if allowed is None else ", ".join(allowed) or "the shared one alone"


def _subject(answer: Answer) -> str:
    template = answer["identitySubject"]
    return "the organization's own" if template is None else ", ".join(template)


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    print_pairs(
        {
            "Id": answer["id"],
            "Name": answer["name"],
            "Role of this key": answer["role"],
            "Every job gets a token (enableOidc)": answer["enableOidc"],
            "http:// Vaults (allowClearTextVault)": answer["allowClearTextVault"],
            "Every plan waits for an approval (requiresApproval)": answer["requiresApproval"],
            "Longest life of an environment (maxTtl)": answer["maxTtl"],
            "Life of an environment if nothing is said (defaultTtl)": answer["defaultTtl"],
            "Audiences of identity tokens (allowedIdentityAudiences)": _audiences(answer),
            "sub of identity tokens (identitySubject)": _subject(answer),
            "Claims under https://env0.com/ (identityPrefixedClaims)": answer["identityPrefixedClaims"],
            "AWS session tags (identityAwsTags)": answer["identityAwsTags"],
            "Tags that AWS hands on (identityAwsTransitiveTags)": answer["identityAwsTransitiveTags"] or "none",
            "Issuer of identity tokens (identityIssuer)": answer["identityIssuer"],
            "Created": answer["createdAt"],
        }
    )
