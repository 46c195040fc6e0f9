"""Where any catalogue may start: a pretrained ResNet-50, fine-tuned gently.

    lookalike train --catalog PATH --run DIR --weights WEIGHTS

Without weights it starts at random: then raise --learning-rate to about 1e-3, and --steps.
"""

from trainer.training.experiment import Experiment

EXPERIMENT = Experiment()
