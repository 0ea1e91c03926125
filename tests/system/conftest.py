"""System tests stand on real programs."""

from scene import scene

__all__ = ["scene"]
