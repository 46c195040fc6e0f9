"""What an experiment learns from: its batches over a catalogue, a function of the seed."""

from jax.sharding import Mesh

from trainer.data.pipeline import Resize, TrainingBatches
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
    resize: Resize = "host",
) -> TrainingBatches:
    """Return the experiment's batches from `start_step` to its end.

    Args:
        catalog: the part that is trained on, screened.
        experiment: decides which photos make a batch, and how they are changed.
        start_step: the first batch.
        workers: threads that decode; None: one per processor.
        shard: which rows are this process's, as `TrainingBatches.shard`.
        resize: who brings crops to their size, as `resize_on` says.

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
        resize=resize,
    )


def resize_on(mesh: Mesh) -> Resize:
    """Return who brings photos to their size where these devices train.

    A GPU or TPU does, and leaves the processors to decode. Where these are the device, they do it
    in Pillow's loop, which beats products of matrices there.
    """
    return "host" if mesh.devices.flat[0].platform == "cpu" else "device"
