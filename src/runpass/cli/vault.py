"""`runpass vault`: the commands for the Vault side."""

import typer

from runpass.cli import vault_doctor, vault_explain, vault_lint, vault_plan

app = typer.Typer(help="Prepare a Vault or OpenBao for runpass.")


@app.callback()
def _group() -> None:
    """Prepare a Vault or OpenBao for runpass."""


app.command()(vault_lint.lint)
app.command()(vault_doctor.doctor)
app.command()(vault_explain.explain)
for _command in (vault_plan.plan, vault_plan.apply, vault_plan.drift, vault_plan.setup):
    app.command()(_command)
