"""Configuration variables and their inheritance: organization > template > project and its parents > environment.

Owns: the variables, the order in which they override each other, and the encryption of sensitive values. A value may
hold `${vault:…}` references; they are text here, and only a runner resolves them.
"""
