"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
InProject = Annotated[str | None, typer.Option("--project", metavar="PROJECT", help="Project, by name or id.")]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", dir_okay=False, help="Write it to a new file that only you can read."),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", dir_okay=False, help="TOML file with settings.")
]
