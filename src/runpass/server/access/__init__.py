"""Who is calling, and what may they do: API keys, roles, one table of permissions.

Decides over a `ScopePath` that the caller hands in and looks nothing up above itself: it does not know what a
project is. Owns the routes of the API keys and, later, of the audit trail.
"""
