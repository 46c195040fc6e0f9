"""P products × K photos per batch: every anchor meets positives and negatives.

The batches of "In Defense of the Triplet Loss" (Hermans et al., 2017, section 2), each a pure
function of the seed and the step: a resumed run needs no more state than its step.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32, Int64

from trainer.data.streams import Stream, generator
from trainer.errors import TrainingError


class PKSampler:
    """Chooses each batch's photos.

    Products come in random order, each once per epoch; P consecutive ones make a batch, across the
    border of two epochs too, and no batch holds a product twice. A product's K photos are drawn
    without replacement; one with fewer gives the same photos again, for other augmentation. A
    product with both catalogue and query photos gives at least one of each, so that the network
    learns to match across the two.

    Attributes:
        labels: int32 [photos], a number for each product; photos of one product share it.
        batch_size: photos in each batch, P·K.
        classes: how many numbers the labels have, from 0.
    """

    labels: Int32[np.ndarray, " photos"]
    batch_size: int
    classes: int

    def __init__(
        self,
        product_ids: Sequence[str],
        roles: Sequence[str],
        *,
        products_per_batch: int,
        photos_per_product: int,
        seed: int,
    ) -> None:
        """Group photos by product; those with one photo, or without id, are never chosen.

        Args:
            product_ids: each photo's product, in the catalogue's order; "" for none.
            roles: each photo's role: "catalog", "query" or "".
            products_per_batch: P.
            photos_per_product: K, at least 2.
            seed: 0 or more.

        Raises:
            TrainingError: fewer than P products have two photos or more.
        """
        self.batch_size = products_per_batch * photos_per_product
        self._products_per_batch = products_per_batch
        self._photos_per_product = photos_per_product
        self._seed = seed
        names, labels, counts = np.unique(
            np.asarray(product_ids, dtype=np.str_), return_inverse=True, return_counts=True
        )
        self.labels, self.classes = labels.astype(np.int32), len(names)
        by_product = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
        self._photos = [
            photos
            for name, photos in zip(names, by_product, strict=True)
            if name and len(photos) > 1
        ]
        if len(self._photos) < products_per_batch:
            raise TrainingError(
                f"Training expected at least {products_per_batch} products with ≥2 photos, found "
                f"{len(self._photos)}: lower --products-per-batch or --holdout, or add photos"
            )
        role = np.asarray(roles, dtype=np.str_)
        self._is_catalog, self._is_query = role == "catalog", role == "query"
        self._latest = (0, self._permutation(0))

    def batch(self, step: int) -> Int64[np.ndarray, " batch"]:
        """Return the photos of batch `step` (0 or more): P groups of K indices, group by group."""
        groups = [
            self._group(
                self._photos[product], generator(self._seed, Stream.PHOTO_CHOICE, step, position)
            )
            for position, product in enumerate(self._products(step))
        ]
        return np.concatenate(groups)

    def _group(
        self, photos: Int64[np.ndarray, " n"], random: np.random.Generator
    ) -> Int64[np.ndarray, " k"]:
        order = random.permutation(photos)
        catalog, query = order[self._is_catalog[order]], order[self._is_query[order]]
        if catalog.size and query.size:
            both = np.array([catalog[0], query[0]])
            order = np.concatenate([both, order[~np.isin(order, both)]])
        return np.resize(order, self._photos_per_product)

    def _products(self, step: int) -> Int64[np.ndarray, " p"]:
        """Return P consecutive products of the endless row that the epochs' orders make."""
        epoch, begin = divmod(step * self._products_per_batch, len(self._photos))
        products = self._order(epoch)[begin : begin + self._products_per_batch]
        missing = self._products_per_batch - len(products)
        if missing:
            products = np.concatenate([products, self._order(epoch + 1)[:missing]])
        return products

    def _order(self, epoch: int) -> Int64[np.ndarray, " products"]:
        """Return the epoch's permutation, with a start that completes the batch begun before it.

        That start depends on the end of the epoch before, hence on all of them; the latest is kept.
        """
        latest, order = self._latest
        if latest > epoch:
            latest, order = 0, self._permutation(0)
        while latest < epoch:
            latest += 1
            begun = latest * len(order) % self._products_per_batch
            fresh = self._permutation(latest)
            others = fresh[~np.isin(fresh, order[len(order) - begun :])]
            start = others[: self._products_per_batch - begun]
            order = np.concatenate([start, fresh[~np.isin(fresh, start)]])
        self._latest = (latest, order)
        return order

    def _permutation(self, epoch: int) -> Int64[np.ndarray, " products"]:
        return generator(self._seed, Stream.PRODUCT_ORDER, epoch).permutation(len(self._photos))
