"""`runpass issuer export`: the issuer's public documents as files, for hosting where a Vault can fetch them."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from runpass.cli.output import say
from runpass.errors import ConfigurationError

if TYPE_CHECKING:
    from runpass.vault.issuer_documents import Documents

JWKS: Final = ".well-known/jwks.json"

app = typer.Typer(help="The issuer's public documents.")


@app.callback()
def _group() -> None:
    """The issuer's public documents."""


@app.command()
def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Directory that is served at the issuer's address.")
    ],
) -> None:
    """Write the discovery document and the key set below DIR, as the server publishes them at this moment.

    They have to be served at the issuer's own address, and exported again whenever the keys change.
    """
    from runpass.cli.settings import load_settings
    from runpass.vault.issuer_documents import METADATA, fetch_documents
    from runpass.vault.transport import Tls

    settings = load_settings().settings
    documents = fetch_documents(settings.url, Tls(settings.ca_bundle), timeout=settings.timeout_seconds)
    # The keys first: whoever reads the discovery document finds them.
    _write(directory / JWKS, documents.jwks)
    _write(directory / METADATA, _naming(documents))
    say(f"serve the directory at {documents.issuer}")


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
