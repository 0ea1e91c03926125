"""How the operator's machine reaches a Vault: options that the commands of `runpass vault` share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runpass.cli.operator_token import operator_token
from runpass.cli.secret_files import read_secret
from runpass.errors import FieldError, InvalidInput

if TYPE_CHECKING:
    from runpass.vault.client import VaultClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What was said of the way to a Vault. The token is read when a client is opened, and stored nowhere."""

    address: str | None = None
    ca_bundle: Path | None = None
    client_certificate_file: Path | None = None
    client_key_file: Path | None = field(default=None, repr=False)
    server_name: str | None = None
    proxy: str | None = None
    timeout: float = 10.0
    token_file: Path | None = None

    def check_address(self, otherwise: str | None = None) -> str:
        """Give the address, or the one that a file says. Raises `InvalidInput` if there is none."""
        found = self.address or otherwise
        if found is None:
            raise InvalidInput("--address is required", (FieldError("--address", "is required"),))
        return found

    def open(self, address: str | None = None) -> "VaultClient":
        """Give a client with the operator's token; `address` is used where no option names one.

        Raises `InvalidInput` for options that are missing or want one another.
        """
        from runpass.vault.client import VaultClient
        from runpass.vault.transport import Tls

        found = self.check_address(address)
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            raise InvalidInput("--client-certificate-file and --client-key-file belong together")
        certificate, key = self.client_certificate_file, self.client_key_file
        tls = Tls(
            self.ca_bundle,
            client_certificate=None if certificate is None else read_secret(certificate, "certificate").reveal(),
            client_key=None if key is None else read_secret(key, "client key"),
            server_name=self.server_name,
            proxy=self.proxy,
        )
        return VaultClient(found, token=operator_token(self.token_file), tls=tls, timeout=self.timeout)


def reach(  # noqa: PLR0913 -- one parameter for each option
    *,
    address: Annotated[str | None, typer.Option(help="Where the Vault answers; not needed with --print.")] = None,
    ca_bundle: Annotated[
        Path | None, typer.Option(dir_okay=False, help="PEM file of authorities for the Vault.")
    ] = None,
    client_certificate_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Certificate (PEM) to show to the Vault.")
    ] = None,
    client_key_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Private key (PEM) of that certificate.")
    ] = None,
    server_name: Annotated[
        str | None, typer.Option(help="Name in the Vault's certificate, if not the address's host.")
    ] = None,
    proxy: Annotated[str | None, typer.Option(help="HTTP proxy to go through: http://host:port.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds that one answer may take.")] = 10.0,
    token_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File with the operator's token. Else BAO_TOKEN or VAULT_TOKEN.")
    ] = None,
) -> Reach:
    """Give the options as one record."""
    return Reach(
        address=address,
        ca_bundle=ca_bundle,
        client_certificate_file=client_certificate_file,
        client_key_file=client_key_file,
        server_name=server_name,
        proxy=proxy,
        timeout=timeout,
        token_file=token_file,
    )
