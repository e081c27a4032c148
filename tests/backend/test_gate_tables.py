"""Compiled products with gates, by tables and by opened gates, against naive loops.

Numbers are integers of which sums and products are exact in any order, so that results
are those of the loops to the last bit.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from assertions import assert_same

from sklearn_jlntk._backend.jit import gate_tables, vector_length
from sklearn_jlntk._backend.jit._compiled import is_disabled
from sklearn_jlntk.network import FactorizedNetwork, _pass_bc_numba
from sklearn_jlntk.network._pass_bc_numba import BcNumbaPass

pytestmark = pytest.mark.skipif(is_disabled(), reason="nothing is compiled")

DTYPES = [np.float32, np.float64]
# Neurons, samples, components: single ones; samples that fill no table, no panel and no
# integer of gates, or all of them; columns that fill no vector, one, or several.
SHAPES = [
    (1, 1, 1),
    (5, 3, 2),
    (12, 32, 16),
    (13, 33, 17),
    (60, 31, 64),
    (61, 64, 65),
    (150, 100, 130),
    (1300, 37, 9),
]
# Widths are powers of four, so that the readout is a power of two and no product rounds.
SHAPES_OF_NETWORKS = [
    (1, 1, 1),
    (4, 33, 17),
    (64, 31, 64),
    (64, 100, 130),
    (1024, 37, 9),
]


def whole_numbers(rng, shape, dtype):
    """Whole numbers from -8 to 8."""
    return rng.integers(-8, 9, shape).astype(dtype)


def sums_over_open_gates(gates, rows, readout):
    """Sum over outputs of readout times the sum of the rows at open gates."""
    gradient = np.zeros((len(gates), rows.shape[2]), rows.dtype)
    for r, neuron in enumerate(gates):
        for i in np.flatnonzero(neuron):
            for output, v in enumerate(readout[r]):
                gradient[r] += v * rows[output, i]
    return gradient


def packed(gates, block_length):
    """Gates (m, n) in the layout of the tables, (n_blocks, n_words, block_length, 4)."""
    m, n = gates.shape
    n_blocks, n_words = -(-m // block_length), -(-n // 32)
    padded = np.zeros((n_blocks * block_length, n_words * 32), bool)
    padded[:m, :n] = gates
    bits = np.packbits(padded, axis=1, bitorder="little")
    bits = bits.reshape(n_blocks, block_length, n_words, 4)
    return np.ascontiguousarray(bits.swapaxes(1, 2))


def by_tables(gates, rows, readout, block_length, start=0.0):
    """The same as `sums_over_open_gates`, by tables, added to a number."""
    jit, n_lanes = gate_tables(), vector_length(rows.dtype)
    n_outputs, n, l = rows.shape
    padded = np.zeros(
        (n_outputs, -(-n // jit.WORD) * jit.WORD, -(-l // n_lanes) * n_lanes),
        rows.dtype,
    )
    padded[:, :n, :l] = rows
    gradient = np.full((len(gates), l), start, rows.dtype)
    bits = packed(gates, block_length)
    _, n_words, length, n_bytes = bits.shape
    layout = (length, n_words * length * n_bytes, length * n_bytes, n_bytes)
    # Memory that holds anything before.
    memory = np.full(jit.memory_shape(block_length, n_lanes), np.nan, rows.dtype)
    for block in range(len(bits)):
        flat = bits.reshape(-1)
        jit.pull_blocks(
            block, block + 1, padded, readout, flat, layout, memory, gradient, n_lanes
        )
    return gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("m, n, l", SHAPES)
def test_tables_sum_rows_over_open_gates(m, n, l, n_outputs, dtype):
    rng = np.random.default_rng(0)
    gates = rng.random((m, n)) > 0.5
    rows = whole_numbers(rng, (n_outputs, n, l), dtype)
    readout = whole_numbers(rng, (m, n_outputs), dtype)
    expected = sums_over_open_gates(gates, rows, readout)
    for block_length in (12, 60):
        assert_same(by_tables(gates, rows, readout, block_length), expected)
        assert_same(by_tables(gates, rows, readout, block_length, 3.0), expected + 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_gate_picks_its_own_row(dtype):
    rows = np.arange(1, 71 * 3 + 1, dtype=dtype).reshape(1, 71, 3)
    gradient = by_tables(np.eye(71, dtype=bool), rows, np.ones((71, 1), dtype), 12)
    assert_same(gradient, rows[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_closed_gates_and_zero_rows_give_zero(dtype):
    rng = np.random.default_rng(0)
    rows, readout = whole_numbers(rng, (1, 50, 20), dtype), np.ones((30, 1), dtype)
    closed, gates = np.zeros((30, 50), bool), rng.random((30, 50)) > 0.5
    assert not np.any(by_tables(closed, rows, readout, 12))
    assert not np.any(by_tables(gates, np.zeros_like(rows), readout, 12))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_closed_gate_hides_what_is_not_finite(dtype):
    gates = np.ones((4, 40), bool)
    gates[::2, 7] = False
    rows = np.ones((1, 40, 5), dtype)
    rows[0, 7] = np.nan
    gradient = by_tables(gates, rows, np.ones((4, 1), dtype), 12)
    assert_same(gradient[::2], np.full((2, 5), 39, dtype))
    assert np.all(np.isnan(gradient[1::2]))


def test_rounding_errors_of_tables_are_those_of_a_product():
    rng = np.random.default_rng(0)
    gates = rng.random((300, 2000)) > 0.5
    rows = rng.standard_normal((1, 2000, 64)).astype(np.float32)
    exact = gates.astype(float) @ rows[0].astype(float)
    ours = by_tables(gates, rows, np.ones((300, 1), np.float32), 60)
    product = gates.astype(np.float32) @ rows[0]
    errors = [np.linalg.norm(found - exact) for found in (ours, product)]
    assert errors[0] <= 2 * errors[1]


def whole_problem(m, n, l, n_outputs, dtype):
    """BC network, weights, features and cotangents of whole numbers."""
    rng = np.random.default_rng(0)
    network = FactorizedNetwork.from_arrays(v=rng.choice([-1.0, 1.0], (m, n_outputs)))
    shapes = (m, l), (l, n), (n_outputs, n)
    return network, *(whole_numbers(rng, shape, dtype) for shape in shapes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("m, n, l", SHAPES_OF_NETWORKS)
def test_tables_and_products_give_the_gradient_of_the_loops(
    monkeypatch, m, n, l, n_outputs, dtype
):
    network, B, F, s = whole_problem(m, n, l, n_outputs, dtype)
    gates = (B @ F) > 0
    readout = (network.output_signs / m**0.5).astype(dtype)
    expected = sums_over_open_gates(gates, s[:, :, None] * F.T, readout)
    for most in (0, 3):
        monkeypatch.setattr(_pass_bc_numba, "_MOST_OUTPUTS_BY_TABLES", most)
        gradient = BcNumbaPass().pullback(
            network, B, F, lambda u, columns: s[:, columns]
        )
        assert_same(gradient, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_number_of_outputs_decides_between_tables_and_products(monkeypatch, dtype):
    taken = []
    for name in ("_add_by_tables", "_add_by_products"):
        monkeypatch.setattr(
            _pass_bc_numba._Tiles, name, lambda *_, name=name: taken.append(name)
        )
    for n_outputs in (1, 2, 3):
        network, B, F, s = whole_problem(40, 30, 5, n_outputs, dtype)
        BcNumbaPass().pullback(network, B, F, lambda u, columns, s=s: s[:, columns])
    assert taken == ["_add_by_tables"] * 2 + ["_add_by_products"]


NARROW = "+sse2,+sse4.2,+avx,+avx2,+fma,+popcnt,+bmi,+bmi2,+f16c,+movbe,+lzcnt"
IN_NARROW_VECTORS = """
from sklearn_jlntk._backend.jit import _panel_vectors, _vectors
assert _vectors.VECTOR_BYTES == 32 and _panel_vectors.N_NEURONS == 6
import sys, pytest
names = "test_tables_sum or test_each_gate or test_tables_and_products"
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1], "-k", names]))
"""


@pytest.mark.slow
def test_vectors_of_32_bytes_give_the_same():
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": NARROW,
    }
    result = subprocess.run(
        [sys.executable, "-c", IN_NARROW_VECTORS, __file__],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed" in result.stdout
