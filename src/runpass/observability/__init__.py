"""Logs and metrics, used by both programs. Nothing in here may see a secret."""
