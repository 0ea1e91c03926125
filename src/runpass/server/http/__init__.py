"""The shell for JSON: one error envelope, request ids, body limits, metrics, and what every handler depends on.

Decides which HTTP status an error becomes. Knows no room above it.
"""
