"""What is known about a published data set: its files, its listing, and how much is in it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainer.data.archives import ARCHIVE_SUFFIXES, open_files
from trainer.data.problems import refuse
from trainer.data.records import Catalog, Photo, Source
from trainer.errors import CatalogError

type Reader = Callable[[Source], Iterator[Photo]]
"""Yields the photos that a data set's listing names, in its order; `row` is a line of the listing.

It raises CatalogError if the listing is damaged.
"""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One data set of the field, with the split that papers report on."""

    name: str
    """As commands call it."""
    title: str
    homepage: str
    citation: str
    """The paper that published it."""
    read: Reader
    listings: Sequence[str]
    """Where the listing may lie; photos are named from there. See `listing_folder`."""
    photos: Mapping[str, int]
    """Published number of photos, by split and role: "train", "test", "test query"."""
    products: Mapping[str, int]
    """Published number of products (or classes), by split."""
    url: str = ""
    """Where the archive is published; empty: only by hand, from the homepage."""
    archive_name: str = ""
    """The name of what `url` gives."""
    md5: str = ""
    """The archive's published checksum; empty: none is published."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """Files beside an extracted listing, with their checksums ("": unknown); archives among them
    are read without being extracted."""

    def open(self, path: Path) -> Catalog:
        """Read the listing, and hold it against what was published.

        Args:
            path: the archive, or the folder that it was extracted to.

        Raises:
            CatalogError: files are missing or damaged, or counts differ; each is named.
        """
        archives = [name for name in self.beside if name.endswith(ARCHIVE_SUFFIXES)]
        source = open_files(path, listings=self.listings, beside=archives)
        try:
            photos = tuple(self.read(source))
        except ValueError as error:
            raise CatalogError(f"{path}: {error}") from error
        refuse(
            source.location,
            list(self._differences(photos)),
            f"Expected the official split of {self.title}: is the copy complete?",
        )
        return Catalog(self.name, source, photos)

    def _differences(self, photos: Sequence[Photo]) -> Iterator[str]:
        counted = Counter(f"{photo.split} {photo.role}".rstrip() for photo in photos)
        products: defaultdict[str, set[str]] = defaultdict(set)
        for photo in photos:
            products[photo.split].add(photo.product_id)
        found = {split: len(ids) for split, ids in products.items()}
        for what, expected, there in (
            ("images", self.photos, dict(counted)),
            ("classes", self.products, found),
        ):
            for part in dict.fromkeys((*expected, *there)):
                if expected.get(part, 0) != there.get(part, 0):
                    yield (
                        f"{part}: expected {expected.get(part, 0):,} {what}, "
                        f"found {there.get(part, 0):,}"
                    )
