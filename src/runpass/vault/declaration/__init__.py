"""The declarative file of `runpass vault plan`: TOML in, a desired state out, and every mistake with its line. Pure.

It reads no file and asks nobody: texts that the file names by path (policies, certificates) and keys that are pushed
are handed in by the caller.
"""
