"""The shell for HTML: templates, assets, headers, cookies, forms, and errors as pages.

Knows no room above it: each room has its own `pages.py`, and its templates stand in a folder of `templates/` with the
room's name.
"""
