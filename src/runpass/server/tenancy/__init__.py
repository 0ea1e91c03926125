"""Organizations, projects, environments: what belongs to whom.

Owns: the three records, their names, settings and policies, the path from an organization down to a project, and the
first run, which makes the first organization. Does not own: what runs in an environment (`deployments`) or what a
project may use (`credentials`, `templates`, `variables`).
"""
