"""Losses: pure functions of (embeddings, labels, references), by name in `registry`."""

from trainer.losses.multi_similarity import multi_similarity_loss
from trainer.losses.registry import default_options, loss_function, names, needs_proxies

__all__ = ["default_options", "loss_function", "multi_similarity_loss", "names", "needs_proxies"]
