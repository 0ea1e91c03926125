"""Benchmarks on real parts: `make bench` prints a table and writes bench/results.json."""
