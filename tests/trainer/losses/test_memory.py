"""The cross-batch memory against a Python list, and losses with it against nested loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.losses.formulas import loss_by_formula
from trainer.losses.memory import empty_memory
from trainer.losses.memory import remember as remember_
from trainer.losses.registry import default_options, loss_function

DIM = 3
remember = jax.jit(remember_)


def oldest_first(memory):
    """The remembered (rows, labels), as the class's docstring says where they lie."""
    filled, pointer, size = int(memory.filled), int(memory.pointer), memory.labels.size
    slots = np.arange(filled) if filled < size else (pointer + np.arange(size)) % size
    return np.asarray(memory.embeddings)[slots], np.asarray(memory.labels)[slots]


def batches(seed, sizes):
    random = np.random.default_rng(seed)
    for size in sizes:
        rows = random.normal(size=(size, DIM)).astype(np.float32)
        yield jnp.array(rows), jnp.array(random.integers(0, 9, size))


@settings(max_examples=40)
@given(size=st.sampled_from([1, 5, 8]), sizes=st.lists(st.sampled_from([1, 3, 7, 11]), max_size=6))
def test_holds_the_last_rows_in_their_order(size, sizes):
    memory, rows, labels = empty_memory(size, DIM), np.zeros((0, DIM), np.float32), []
    for more, more_labels in batches(0, sizes):
        memory = remember(memory, more, more_labels)
        rows, labels = np.concatenate([rows, more])[-size:], [*labels, *more_labels][-size:]
        kept, kept_labels = oldest_first(memory)
        np.testing.assert_array_equal(kept, rows)
        np.testing.assert_array_equal(kept_labels, labels)
        references = memory.references()
        assert int(references.valid.sum()) == int(memory.filled) == len(labels)
        assert 0 <= int(memory.pointer) < size


def test_the_pointer_comes_round_and_the_newest_take_the_oldest_slots():
    memory = empty_memory(4, DIM)
    for number in range(3):
        memory = remember(memory, jnp.full((3, DIM), number, jnp.float32), jnp.full(3, number))
    np.testing.assert_array_equal(memory.labels, [2, 1, 2, 2])
    assert int(memory.pointer) == 1


def test_is_float32_without_gradient_and_keeps_its_types_under_jit():
    memory = empty_memory(4, DIM)

    def step(rows, memory):
        return jnp.sum(remember(memory, rows, jnp.arange(2)).references().embeddings)

    rows = jnp.ones((2, DIM), jnp.bfloat16)
    following = remember(memory, rows, jnp.array([3, 4], jnp.uint8))
    for after, before in zip(jax.tree.leaves(following), jax.tree.leaves(memory), strict=True):
        assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert not jax.grad(step)(rows, memory).any()


def test_nothing_counts_during_the_warm_up_and_the_queue_fills_all_the_same():
    memory = remember(empty_memory(4, DIM), jnp.ones((3, DIM)), jnp.arange(3))
    assert not memory.references(active=jnp.array(False)).valid.any()
    np.testing.assert_array_equal(memory.references().valid, [True, True, True, False])


def test_a_memory_of_no_rows_remembers_nothing_and_changes_no_loss():
    rows, labels = next(batches(1, [6]))
    memory = remember(empty_memory(0, DIM), rows, labels)
    loss = loss_function("multi_similarity")
    assert float(loss(rows, labels, memory.references())) == float(loss(rows, labels, None))


@pytest.mark.parametrize("name", ["multi_similarity", "contrastive", "supcon", "smooth_ap"])
def test_a_loss_with_memory_is_the_formula_with_the_last_rows_added(name):
    size, memory, queue, queued = 10, empty_memory(10, DIM), np.zeros((0, DIM)), []
    loss, options = jax.jit(loss_function(name)), default_options(name)
    for rows, labels in batches(2, [4] * 5):
        references = (queue, queued, [True] * len(queued))
        expected = loss_by_formula(name, rows, labels, references, options)
        found = loss(rows, labels, memory.references())
        assert float(found) == pytest.approx(expected, rel=1e-4)
        memory = remember(memory, rows, labels)
        queue, queued = np.concatenate([queue, rows])[-size:], [*queued, *labels.tolist()][-size:]
