"""What server and runner say to each other: frozen records and their wire form, no I/O.

Owns: the shape of every message between the two programs, and the credential kinds both must understand.
Does not own: how a message travels (`server/deployments/runner_door.py`, `runner/control_plane.py`).
"""
