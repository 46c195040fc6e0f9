"""Memory is used again, but never while anything could still see it."""

import gc

import jax
import numpy as np

from trainer.data.rooms import Rooms


def address(room: np.ndarray) -> int:
    return room.__array_interface__["data"][0]


def test_memory_that_nobody_sees_is_given_out_again() -> None:
    rooms = Rooms((2, 3))
    room = rooms.take()
    assert (room.shape, room.dtype, room.flags.writeable) == ((2, 3), np.uint8, True)
    first = address(room)
    del room
    assert address(rooms.take()) == first


def test_memory_that_any_view_sees_is_not() -> None:
    rooms = Rooms((4, 3))
    room = rooms.take()
    view = room[1:][::2].T[0]
    buffer = memoryview(room.reshape(-1)[3:])
    first = address(room)
    del room
    assert address(rooms.take()) != first
    other = rooms.take()
    del view
    gc.collect()
    assert address(rooms.take()) != first
    del buffer, other
    gc.collect()
    assert first in {address(held) for held in [rooms.take() for _ in range(4)]}


def test_memory_that_a_device_reads_is_not_written_to() -> None:
    rooms = Rooms((64, 64, 3))
    placed = []
    for number in range(6):
        room = rooms.take()
        room[:] = number
        placed.append(jax.device_put(room))
        del room
    for number, array in enumerate(placed):
        assert (np.asarray(array) == number).all()


def test_what_is_held_outlives_the_rooms() -> None:
    room = Rooms((2, 2)).take()
    room[:] = 5
    gc.collect()
    assert (room == 5).all()
