"""Releases whose rows lie in PostgreSQL: an index and a catalogue that no function could hold."""
