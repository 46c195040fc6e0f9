"""Releases whose rows lie in PostgreSQL: an index and a catalogue that no function could hold.

schema       the tables, and how they are made
connection   questions to a database, over connections that may die
conditions   selections as SQL
tables       questions to one release's tables
index        the vectors, found by nearness
catalog      the products
opening      both, compared with the manifest
writing      rows into the tables, for publishers
"""
