"""What callers do with environments: make, change, deploy, destroy, archive, move them, and decide how long they live.

Owns: the routes of environments, the locks that keep two callers apart, lifespans and their end, idempotency keys, and
the end of a project. Does not own: the environments' records (`tenancy`) or what becomes of a queued deployment
(`deployments`).
"""
