"""Runners: join tokens, runner keys, pools. A join token belongs to one organization and one pool, and runs out."""
