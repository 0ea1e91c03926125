"""Organizations, projects, environments: what belongs to whom.

Owns: the three records, their names and settings, the path from an organization down to a project. Does not own:
what runs in an environment (`deployments`) or what a project may use (`credentials`, `templates`, `variables`).
"""
