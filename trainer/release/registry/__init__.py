"""Releases after their publication: listed, verified, compared, chosen, removed."""
