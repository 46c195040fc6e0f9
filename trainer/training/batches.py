"""What an experiment learns from: its batches over a catalogue, a function of the seed."""

from trainer.data.pipeline import TrainingBatches
from trainer.data.records import Catalog
from trainer.data.sampler import PKSampler
from trainer.training.experiment import Experiment


def training_batches(
    catalog: Catalog,
    experiment: Experiment,
    *,
    start_step: int = 0,
    workers: int | None = None,
    shard: tuple[int, int] = (0, 1),
) -> TrainingBatches:
    """Return the experiment's batches from `start_step` to its end.

    Args:
        catalog: the part that is trained on, screened.
        experiment: decides which photos make a batch, and how they are changed.
        start_step: the first batch.
        workers: threads that decode; None: one per processor.
        shard: which rows are this process's, as `TrainingBatches.shard`.

    Raises:
        TrainingError: too few products, or a batch that does not divide into so many shards.
    """
    sampler = PKSampler(
        [photo.product_id for photo in catalog.photos],
        [photo.role for photo in catalog.photos],
        products_per_batch=experiment.products_per_batch,
        photos_per_product=experiment.photos_per_product,
        seed=experiment.seed,
    )
    return TrainingBatches(
        catalog=catalog,
        sampler=sampler,
        augmentation=experiment.augmentation,
        image_size=experiment.image_size,
        seed=experiment.seed,
        start_step=start_step,
        stop_step=experiment.steps,
        workers=workers,
        shard=shard,
    )
