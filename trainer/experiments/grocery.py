"""From a phone photo in the shop to the clean picture in the catalogue: 41 grocery products.

    lookalike train --experiment grocery --catalog grocery.tar --weights WEIGHTS.npz --run DIR

The photos are GroceryStoreDataset's (Klasson et al., WACV 2019), the weights ImageNet's.

Hardware: 2 cores of an Intel Xeon. Time: 64 to 70 s. Result, photo to catalogue on 20 unseen
products, seeds 0, 1, 2: R@1 0.668, 0.585, 0.667; with --steps 0 (frozen) 0.463, 0.369, 0.454.
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
