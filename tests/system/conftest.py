"""System tests stand on real programs."""

from cli_scene import cli_server, listed, made, run, shell
from scene import scene

__all__ = ["cli_server", "listed", "made", "run", "scene", "shell"]
