"""Photos that a release is tried with before it is published: each is embedded once."""

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

import numpy as np
from jaxtyping import Float32

from function.embedder import Embedder
from trainer.data.records import Catalog
from trainer.evaluation.attribution import Queries
from trainer.evaluation.embedding import embed_photos
from trainer.evaluation.unseen import Asked, choose_queries
from trainer.release.indexing import EXACT_ROWS
from trainer.release.tuning import QUERIES, Vectors


@dataclass(frozen=True, eq=False)
class Answerable:
    """Queries of unseen products, as the release's program embeds them.

    Attributes:
        queries: what each should find.
        vectors: unit rows.
    """

    queries: Queries
    vectors: Float32[np.ndarray, "queries dim"]


@dataclass(frozen=True, eq=False)
class Questions:
    """Which photos ask.

    Attributes:
        customers: photos that the release does not hold; they tune its index.
        asked: photos of unseen products, each in the release or one of the customers'; they
            calibrate its scores.
    """

    customers: Catalog
    asked: Asked

    def embed(
        self, embedder: Embedder, rows: Vectors, workers: int | None = None
    ) -> tuple[Float32[np.ndarray, "customers dim"] | None, Answerable]:
        """Embed the customers' photos, one by one as the function does.

        Args:
            embedder: the release's.
            rows: the release's vectors.
            workers: threads that decode; None: one per processor.

        Returns:
            The customers' vectors, None where there are none, and the queries of unseen products.
        """
        customers = None
        if self.customers.photos:
            customers = embed_photos(
                embedder.embed,
                self.customers,
                embedder.image_size,
                batch_size=1,
                label="Embedding queries",
                workers=workers,
            )
        of_customers = () if customers is None else customers
        vector_of = dict(zip(self.customers.photos, of_customers, strict=True))
        own_rows = self.asked.queries.own_rows.tolist()
        vectors = [
            vector_of[photo] if row < 0 else rows[row]
            for photo, row in zip(self.asked.photos, own_rows, strict=True)
        ]
        stacked = np.array(vectors, np.float32).reshape(-1, rows.shape[1])
        return customers, Answerable(self.asked.queries, stacked)


def choose_questions(catalog: Catalog, gallery: Catalog, unseen: Collection[str]) -> Questions:
    """Choose, by fixed seeds, the photos to try a release with.

    Args:
        catalog: all photos, screened.
        gallery: those of the release.
        unseen: products that the network was not trained on.
    """
    queries = [photo for photo in catalog.photos if photo.role == "query"]
    asked = choose_queries(
        [photo for photo in catalog.photos if photo.product_id in unseen], gallery.photos
    )
    customers = [photo for photo in asked.photos if photo.role == "query"]
    if len(gallery.photos) > EXACT_ROWS:
        customers += Random(0).sample(queries, min(QUERIES, len(queries)))  # noqa: S311
    return Questions(catalog.subset(dict.fromkeys(customers)), asked)
