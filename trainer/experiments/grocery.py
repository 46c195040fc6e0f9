"""From a phone photo in the shop to the clean picture in the catalogue: 41 grocery products.

    lookalike train --experiment grocery --catalog grocery.tar --weights WEIGHTS.npz --run DIR

Hardware, time, result: to be measured.
"""

from trainer.training.experiment import Experiment

EXPERIMENT = Experiment(
    image_size=128,
    steps=60,
    # Twenty products teach little that holds for others: the layers that know shapes and textures
    # stay as ImageNet left them, and the last stage moves gently.
    learning_rate=3e-5,
    head_learning_rate_factor=1.0,
    warmup_steps=20,
    frozen_stages=3,
    checkpoint_every=20,
)
