"""The demo's: a small ResNet from random weights on the embedded synthetic catalogue.

    lookalike train --experiment studio --catalog CATALOG --run DIR

Hardware: 2 CPU cores. Time and result: see below EXPERIMENT's fields once measured.
"""

from trainer.training.experiment import Experiment

EXPERIMENT = Experiment(
    architecture="resnet18",
    width=32,
    embedding_dim=128,
    image_size=64,
    steps=300,
    learning_rate=2e-3,
    head_learning_rate_factor=1.0,
    warmup_steps=30,
    checkpoint_every=50,
)
