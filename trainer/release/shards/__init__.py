"""Embedding in shards: what is done stays done, whoever does it and whatever ends.

    <root>/embeddings/<job>/begun.json              when somebody last set to it
                            plan.json               what is embedded, by what; after all photos
                            photos-000000.parquet   what is listed of a shard's photos
                            program/                the serving program, where workers fetch it
                            vectors-000000.parquet  what became of the photos
                            done-000000.json        that they are: SHA-256, unreadable photos

Modules, lowest first: `job` (names and records), `columns` (the Parquet files), `planning`,
`worker` (all the work), `local` and `cluster` (who has it done), `reading`, `catalog` (all of it,
for a publication). A job's name is a hash of what is embedded and by what, so the same publication
finds it again.
"""
