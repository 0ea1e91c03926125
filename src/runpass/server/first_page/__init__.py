"""The console's first page: what is to be done first, what ran of late, and what needs somebody's eye.

Owns nothing that is stored. It stands above all rooms whose things it shows.
"""
