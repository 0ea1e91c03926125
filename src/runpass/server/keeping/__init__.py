"""Keeping an installation alive: a new master key, backup and restore, retention.

Owns no table. Works on rows of all rooms, so it stands above them.
"""
