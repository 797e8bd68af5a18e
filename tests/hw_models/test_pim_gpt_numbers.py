"""Attention of PIM-GPT on numbers: keys and values laid out in banks, the programs run on what these hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.pim_gpt import HeadLayout, context, scores
from cairn.hw_models.pim.program import Program

Array = npt.NDArray[Any]
DEVICE = pim_device("PIM_GPT", channels=4)
SHAPES = [(16, 16, 128, 1500), (8, 2, 64, 70), (6, 3, 32, 1025), (20, 20, 64, 40)]
"""Query heads, key heads, head dimension, tokens: several rows of keys, shared heads, rows of tokens, uneven heads."""


def run(program: Program, memory: Array, host: Array, results: int) -> Array:
    """What one channel hands to the host: (results, banks). `memory` is (bank, row, column, lane), `host` columns."""
    buffer, sums = np.zeros((64, host.shape[1]), host.dtype), {}
    found = np.zeros((results, memory.shape[0]), memory.dtype)
    for command, field in program.named():
        count, number = field["count"], field["accumulator"]
        if command == "WRGB":
            buffer[:count] = host[field["host"] : field["host"] + count]
        elif command == "WRMAC16":
            sums[number] = np.zeros(memory.shape[0], memory.dtype)
        elif command == "MAC16":
            weights = memory[:, field["row"], field["column"] : field["column"] + count]
            sums[number] += np.einsum("bcl,cl->b", weights, buffer[field["buffer"] : field["buffer"] + count])
        else:
            assert command == "RDMAC16"
            found[field["host"]] = sums.pop(number)
    return found


@pytest.mark.parametrize("held", [1, 3, 32])
@pytest.mark.parametrize("sizes", SHAPES)
def test_every_query_meets_the_keys_of_its_head(sizes: tuple[int, int, int, int], held: int) -> None:
    shape, rng = HeadLayout.of(DEVICE, *sizes), np.random.default_rng(sum(sizes))
    heads, kv, dim, tokens = sizes
    queries = rng.integers(-9, 10, (shape.shared, kv, dim))
    keys = rng.integers(-9, 10, (tokens, kv, dim))
    row = shape.row_columns * shape.lanes
    placed = np.zeros((shape.tokens, shape.channels, shape.units, shape.key_rows * row), keys.dtype)
    placed.reshape(-1, shape.key_rows * row)[:tokens, : kv * dim] = keys.reshape(tokens, -1)
    program, host = scores(DEVICE, shape, held), queries.reshape(-1, shape.lanes)
    found = np.zeros((heads, shape.tokens, shape.channels, shape.units), keys.dtype)
    for channel in range(shape.channels):
        memory = placed[:, channel].swapaxes(0, 1).reshape(shape.units, -1, shape.row_columns, shape.lanes)
        answer = run(program, memory, host, heads * shape.tokens)
        found[:, :, channel] = answer.reshape(heads, shape.tokens, shape.units)
    expected = np.einsum("skd,tkd->skt", queries, keys).reshape(heads, tokens)
    np.testing.assert_array_equal(found.reshape(heads, -1)[:, :tokens], expected)


@pytest.mark.parametrize("held", [1, 3, 32])
@pytest.mark.parametrize("sizes", SHAPES)
def test_every_probability_meets_the_values_of_its_token(sizes: tuple[int, int, int, int], held: int) -> None:
    shape, rng = HeadLayout.of(DEVICE, *sizes), np.random.default_rng(sum(sizes))
    _, kv, dim, tokens = sizes
    columns = sum(shape.context_columns(segment) for segment in range(shape.segments))
    probabilities = np.zeros((shape.channels * shape.heads_of_channel, shape.shared, columns * shape.lanes), np.int64)
    probabilities[:kv, :, :tokens] = rng.integers(0, 10, (kv, shape.shared, tokens))
    values = np.zeros((shape.channels * shape.heads_of_channel, shape.rounds * shape.units, tokens), np.int64)
    values[:kv, :dim] = rng.integers(-9, 10, (kv, dim, tokens))
    program, row = context(DEVICE, shape, held), shape.row_columns * shape.lanes
    found = np.zeros((shape.channels, shape.heads_of_channel * shape.shared, shape.rounds, shape.units), np.int64)
    for channel in range(shape.channels):
        mine = slice(channel * shape.heads_of_channel, (channel + 1) * shape.heads_of_channel)
        padded = np.zeros((shape.heads_of_channel, shape.rounds, shape.units, shape.segments * row), np.int64)
        padded[..., :tokens] = values[mine].reshape(*padded.shape[:3], tokens)
        memory = padded.transpose(2, 0, 1, 3).reshape(shape.units, -1, shape.row_columns, shape.lanes)
        host = probabilities[mine].reshape(-1, shape.lanes)
        answer = run(program, memory, host, shape.heads_of_channel * shape.shared * shape.rounds * shape.segments)
        found[channel] = answer.reshape(-1, shape.rounds, shape.segments, shape.units).sum(axis=2)
    answered = found.reshape(shape.channels * shape.heads_of_channel, shape.shared, -1)[:kv, :, :dim]
    expected = np.einsum("kst,kdt->ksd", probabilities[:kv, :, :tokens], values[:kv, :dim])
    np.testing.assert_array_equal(answered, expected)
