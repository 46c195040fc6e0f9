"""From a phone photo in the shop to the clean picture in the catalogue: 41 grocery products.

    lookalike train --experiment grocery --catalog grocery.tar --weights WEIGHTS.npz --run DIR

Hardware, time, result: to be measured.
"""

from trainer.training.experiment import Experiment

EXPERIMENT = Experiment(
    image_size=128,
    steps=100,
    products_per_batch=8,
    learning_rate=3e-5,
    warmup_steps=10,
    frozen_stages=2,
    checkpoint_every=25,
)
