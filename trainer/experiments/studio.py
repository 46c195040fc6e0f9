"""The demo's: a small ResNet from random weights on the embedded synthetic catalogue.

    lookalike train --experiment studio --catalog CATALOG --run DIR

CATALOG as `lookalike demo` makes it: 240 products with 12 photos each, seed 0.

Hardware: 2 cores of an Intel Xeon. Time: 88 s. Result on 79 unseen products: R@1 0.556 photo to
catalogue (colour histogram 0.134), 0.641 leave-one-out (colour histogram 0.310).
"""

from trainer.data.augmentation import Augmentation
from trainer.training.experiment import Experiment

EXPERIMENT = Experiment(
    architecture="resnet18",
    width=32,
    embedding_dim=128,
    image_size=64,
    steps=500,
    holdout=0.33,
    learning_rate=3e-3,
    head_learning_rate_factor=1.0,
    warmup_steps=30,
    # Photos of one product differ in light and surroundings by themselves; colour tells variants
    # apart, so it is hardly touched.
    augmentation=Augmentation(scale=(0.6, 1.0), saturation=0.1, hue=0.0),
    checkpoint_every=50,
)
