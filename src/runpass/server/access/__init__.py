"""Who is calling, and what may they do: API keys, roles, one table of permissions.

Decides over a `ScopePath` that the caller hands in and looks nothing up above itself: it does not know what a
project is. Owns API keys, people, their sessions in the console and how these begin, and the routes of the audit
trail; inviting and changing people is the work of `people`.
"""
