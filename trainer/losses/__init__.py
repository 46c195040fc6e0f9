"""Losses: pure functions of (embeddings, labels)."""

from trainer.losses.multi_similarity import multi_similarity_loss

__all__ = ["multi_similarity_loss"]
