"""What a catalogue holds, measured from its photos: counts, sizes, copies, pictures of it.

measure ─► signature          one decode for each photo
   │
duplicates ─► hamming         which photos are copies of each other
   │
numbers, distribution, sheet  the same as JSON's own types, as a figure, as photos
   │
report                        files: JSON, CSV, PNG and one HTML page
"""

from trainer.data.statistics.report import write_statistics

__all__ = ["write_statistics"]
