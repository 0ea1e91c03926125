"""`runpass issuer`: which issuer an organization's tokens are of, and public documents as files for hosting them."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from runpass.cli.connecting import connected
from runpass.cli.options import AsJson
from runpass.cli.output import print_json, print_pairs, say
from runpass.errors import ConfigurationError, Conflict

if TYPE_CHECKING:
    from runpass.vault.issuer_documents import Documents

JWKS: Final = ".well-known/jwks.json"

app = typer.Typer(help="The issuer of an organization's tokens, and its public documents.")


@app.command()
def show(*, as_json: AsJson = False) -> None:
    """Show which issuer the organization's identity tokens are of, and where its keys are."""
    with connected() as api:
        told = api.one("GET", "/organizations", api.organization_id, "issuer")
    if as_json:
        print_json(told)
        return
    own = told["own"] or {"issuer": None, "jwksUrl": None}
    print_pairs(
        {
            "Chosen (identityIssuer)": told["identityIssuer"],
            "Issuer of tokens now": told["issuer"],
            "Its keys": told["jwksUrl"],
            "Shared audience": told["audience"],
            "Own issuer": own["issuer"],
            "Keys of the own issuer": own["jwksUrl"],
        }
    )


@app.command()
def transition() -> None:
    """Print the config of an auth method that takes tokens of both issuers, for the time of changing over.

    It is the body for auth/<mount>/config. It pushes the keys of the shared and of the organization's own issuer and
    binds no issuer; each key signs for one issuer only. Write the final config when the change is over.
    """
    from runpass.cli.settings import load_settings
    from runpass.vault.issuer_documents import fetch
    from runpass.vault.public_keys import from_jwks
    from runpass.vault.transport import Tls

    settings = load_settings().settings
    with connected() as api:
        told = api.one("GET", "/organizations", api.organization_id, "issuer")
    if told["own"] is None:
        hint = "run: runpass organization policy --identity-issuer prepared"
        raise Conflict("the organization has no issuer of its own", hint=hint)
    tls, seconds = Tls(settings.ca_bundle), settings.timeout_seconds
    keys = [from_jwks(fetch(told[name]["jwksUrl"], tls, timeout=seconds)) for name in ("shared", "own")]
    print_json({"jwt_validation_pubkeys": [pem for of_one in keys for pem in of_one]})


@app.command()
def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Directory that is served at the issuer's address.")
    ],
    *,
    own: Annotated[bool, typer.Option("--own", help="Those of the organization's own issuer.")] = False,
) -> None:
    """Write the discovery document and the key set below DIR, as the server publishes them at this moment.

    They have to be served at the issuer's own address, and exported again whenever the keys change.
    """
    from runpass.cli.settings import load_settings
    from runpass.vault.issuer_documents import METADATA, fetch_documents
    from runpass.vault.transport import Tls

    settings = load_settings().settings
    documents = fetch_documents(
        _own_issuer() if own else settings.url, Tls(settings.ca_bundle), timeout=settings.timeout_seconds
    )
    # The keys first: whoever reads the discovery document finds them.
    _write(directory / JWKS, documents.jwks)
    _write(directory / METADATA, _naming(documents))
    say(f"serve the directory at {documents.issuer}")


def _own_issuer() -> str:
    with connected() as api:
        told = api.one("GET", "/organizations", api.organization_id, "issuer")
    if told["own"] is None:
        raise Conflict("the organization has no issuer of its own")
    return str(told["own"]["issuer"])


def _naming(documents: "Documents") -> bytes:
    """Give the discovery document, with the key set that stands beside it: the server's own may be out of reach."""
    jwks_url = f"{documents.issuer.removesuffix('/')}/{JWKS}"
    if documents.jwks_url == jwks_url:
        return documents.metadata
    content = {**json.loads(documents.metadata), "jwks_uri": jwks_url}
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def _write(path: Path, content: bytes) -> None:
    """Write a file in one step: a web server never sees half of it."""
    unfinished = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        os.replace(unfinished, path)  # noqa: PTH105 -- says what it does
    except OSError as error:
        raise ConfigurationError(f"the file {path} cannot be written: {error.strerror}") from error
    typer.echo(str(path))
