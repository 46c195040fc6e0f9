"""Many products with few pictures each: 769 emoji, each drawn by four to nine vendors.

    lookalike train --experiment emoji --catalog emoji.tar --weights WEIGHTS.npz --run DIR

The task has the shape of Stanford Online Products, hundreds of classes with a handful of pictures,
in a size for two cores; it is not that data set, and its figures say nothing about it. The
drawings are those of EmojiOne, Fluent, FxEmojis, Noto, OpenMoji and Twemoji, 128 pixels wide, the
weights ImageNet's. Half of the products are kept unseen, by seed.

Hardware: 2 cores of an Intel Xeon. Time: 69 to 80 s. Result, leave-one-out on 384 unseen products,
seeds 0, 1, 2: R@1 0.647, 0.645, 0.632; with --steps 0 (frozen) 0.551, 0.553, 0.522. MAP@R 0.367,
0.362, 0.365; frozen 0.261, 0.262, 0.256. Picture to the one vendor that is the catalogue: R@1
0.594, 0.592, 0.580; frozen 0.425, 0.444, 0.434.
"""

from trainer.training.experiment import Experiment

EXPERIMENT = Experiment(
    # Drawings of 128 pixels keep what tells them apart: frozen, R@1 falls from 0.562 to 0.551.
    image_size=96,
    steps=120,
    # The first three stages stay as ImageNet left them: there is enough to teach the last one, and
    # time for no more.
    frozen_stages=3,
    learning_rate=1e-4,
    head_learning_rate_factor=1.0,
    warmup_steps=20,
    checkpoint_every=40,
)
