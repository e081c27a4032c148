"""Compiled functions agree with array-API equivalents; conditions for their use."""

import os
from dataclasses import replace

import numpy as np
import pytest
from assertions import assert_close, assert_same
from interpreters import run_code
from scipy import sparse
from threadpoolctl import threadpool_limits

import sklearn_jlntk._backend.jit.dispatch as jit
from sklearn_jlntk.kernels import nngp_kernel, ntk_kernel
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.network._pass_abc_numba import AbcNumbaPass
from sklearn_jlntk.operators import Identity, make_sketch, project_rows


@pytest.fixture
def compiled(monkeypatch):
    """Switch compiled functions on or off, for problems of any size."""

    def switch(on):
        fewest = 1 if on else float("inf")
        monkeypatch.setattr(jit, "FEWEST_PRE_ACTIVATIONS", fewest)

    return switch


def draw(k, m, n, l=5, n_outputs=1, dtype=np.float64, seed=0):
    """ABC network with weights, features and targets, on NumPy."""
    rng = np.random.default_rng(seed)
    A = make_sketch("block-hadamard", k, m, rng=rng, like=np.empty(0, dtype)).T
    v = rng.choice(
        np.array([-1, 1], np.int8), size=(m, n_outputs)[: 1 + (n_outputs > 1)]
    )
    network = FactorizedNetwork(Identity((None, None), None), A, v)
    B = rng.standard_normal((k, l)).astype(dtype)
    F = rng.standard_normal((l, n)).astype(dtype)
    y = rng.standard_normal((n, *v.shape[1:])).astype(dtype)
    return network, B, F, y


def both(compiled, compute):
    """Results of a computation by compiled functions and on arrays."""
    results = []
    for on in (True, False):
        compiled(on)
        results.append(compute())
    return results


# Neurons that fill no block, samples that fill no vector, an expansion that embeds.
SHAPES = [
    (64, 64, 16),
    (64, 200, 33),
    (40, 131, 7),
    (128, 1, 5),
    (200, 300, 1),
    (300, 700, 19),
    (1024, 1500, 9),
    (1500, 2100, 3),
    (4096, 5000, 2),
]


@pytest.mark.parametrize("k, m, n", SHAPES)
def test_step_agrees_to_rounding(compiled, k, m, n):
    network, B, F, y = draw(k, m, n)
    fast, slow = both(compiled, lambda: network.value_and_gradient(B, F, y))
    for actual, desired in zip(fast, slow, strict=True):
        scale = np.max(np.abs(desired))
        assert_close(actual, desired, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize("k, m, n", SHAPES)
def test_gates_are_identical(compiled, k, m, n):
    # In whole numbers, sqrt(k) A^T Z differs by at least 1 where a gate does.
    network, B, F, _ = draw(k, m, n)
    fast, slow = both(compiled, lambda: network.projected_gates(B, F) * k**0.5)
    assert_same(np.round(fast), np.round(slow))
    # atol: whole numbers, many of them zero.
    assert_close(fast, slow, atol=1e-9)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_chunks_of_samples_equal_all_at_once(compiled, n_outputs):
    network, B, F, y = draw(64, 150, 50, n_outputs=n_outputs)
    compiled(True)
    in_chunks = replace(network, block_size=64 * 20 // 4)
    for actual, desired in zip(
        in_chunks.value_and_gradient(B, F, y),
        network.value_and_gradient(B, F, y),
        strict=True,
    ):
        assert_close(actual, desired, rtol=1e-12, atol=1e-12 * np.max(np.abs(desired)))
    assert_close(in_chunks.outputs(B, F), network.outputs(B, F), rtol=1e-12, atol=1e-12)
    assert_same(in_chunks.projected_gates(B, F), network.projected_gates(B, F))


def test_stages_of_a_transform_multiply_to_its_length():
    for length, stages in jit.hadamard_relu().RADICES.items():
        assert np.prod(stages) == length


@pytest.mark.parametrize("radices", [(16, 1, 16), (8, 4, 8)])
def test_stages_of_any_machine_agree(compiled, monkeypatch, radices):
    network, B, F, y = draw(256, 700, 19)
    monkeypatch.setitem(jit.hadamard_relu().RADICES, 256, radices)
    fast, slow = both(compiled, lambda: network.value_and_gradient(B, F, y)[1])
    assert_close(fast, slow, rtol=1e-12, atol=1e-12 * np.max(np.abs(slow)))


@pytest.mark.parametrize("n_outputs", [1, 2, 14])
@pytest.mark.parametrize(
    "method",
    [
        lambda network, B, F, y: network.outputs(B, F),
        lambda network, B, F, y: network.vjp(B, F, y),
        lambda network, B, F, y: network.jvp(B, F, B[::-1, :] + 1),
        lambda network, B, F, y: network.projected_gates(B, F),
        lambda network, B, F, y: network.gate_products(B, F),
        lambda network, B, F, y: network.value_and_gradient(B, F, y, F[0, :] ** 2)[1],
    ],
    ids=["outputs", "vjp", "jvp", "gates", "products", "weighted-gradient"],
)
def test_methods_agree_for_all_outputs(compiled, method, n_outputs):
    network, B, F, y = draw(100, 333, 50, n_outputs=n_outputs)
    fast, slow = both(compiled, lambda: method(network, B, F, y))
    assert fast.dtype == slow.dtype
    assert_close(fast, slow, rtol=1e-12, atol=1e-12 * np.max(np.abs(slow)))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_float32_stays_and_agrees(compiled, n_outputs):
    network, B, F, y = draw(256, 1000, 40, n_outputs=n_outputs, dtype=np.float32)
    fast, slow = both(compiled, lambda: network.outputs(B, F))
    assert fast.dtype == np.float32
    assert_close(fast, slow, rtol=1e-4, atol=1e-5 * np.max(np.abs(slow)))
    fast, slow = both(compiled, lambda: network.value_and_gradient(B, F, y)[1])
    assert fast.dtype == np.float32
    assert_close(fast, slow, rtol=1e-3, atol=1e-4 * np.max(np.abs(slow)))


@pytest.mark.parametrize("of_weights", [np.float32, np.float64])
def test_weights_and_features_of_two_precisions_agree(compiled, of_weights):
    network, B, F, y = draw(256, 1000, 40, dtype=np.float32)
    of_features = {np.float32: np.float64, np.float64: np.float32}[of_weights]
    B, F = B.astype(of_weights), F.astype(of_features)
    for compute in (network.outputs, network.projected_gates):
        fast, slow = both(compiled, lambda compute=compute: compute(B, F))
        assert_close(fast, slow, rtol=1e-4, atol=1e-5 * np.max(np.abs(slow)))
    _, gradient = network.value_and_gradient(B, F, y)
    assert gradient.dtype == of_weights


@pytest.mark.parametrize("layout", ["fortran", "read-only", "strided"])
def test_layout_of_the_input_makes_no_difference(compiled, layout):
    network, B, F, y = draw(64, 150, 21)
    compiled(True)
    expected = network.value_and_gradient(B, F, y)
    if layout == "fortran":
        B, F = np.asfortranarray(B), np.asfortranarray(F)
    elif layout == "strided":
        B, F = np.repeat(B, 2, axis=1)[:, ::2], np.repeat(F, 2, axis=1)[:, ::2]
    else:
        for array in (B, F, y):
            array.flags.writeable = False
    for actual, desired in zip(
        network.value_and_gradient(B, F, y), expected, strict=True
    ):
        assert_close(actual, desired, rtol=1e-12, atol=1e-12 * np.max(np.abs(desired)))


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_zero_rows_open_no_gate(compiled, n_outputs):
    network, B, F, y = draw(64, 150, 4, n_outputs=n_outputs)
    F[:, 1] = 0
    compiled(True)
    assert not np.any(network.outputs(B, F)[1])
    assert not np.any(network.projected_gates(B, F)[..., 1])
    others = [0, 2, 3]
    alone = network.vjp(B, F[:, others], y[others])
    assert_close(network.vjp(B, F, y), alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_nan_propagates(compiled, n_outputs):
    network, B, F, _ = draw(64, 150, 4, n_outputs=n_outputs)
    F[0, 2] = np.nan
    compiled(True)
    lost = np.isnan(network.outputs(B, F).reshape(4, -1))
    np.testing.assert_array_equal(lost.T, [[0, 0, 1, 0]] * n_outputs)


@pytest.mark.parametrize("k", [64, 256, 1024, 3000])
def test_several_outputs_are_those_computed_alone(compiled, k):
    network, B, F, y = draw(k, 5000, 20, n_outputs=3)
    compiled(True)
    one = FactorizedNetwork(
        network.input_projection, network.hidden_expansion, network.output_signs[:, 1]
    )
    assert_close(network.outputs(B, F)[:, 1], one.outputs(B, F), rtol=1e-12, atol=1e-12)
    only = np.zeros_like(y)
    only[:, 1] = y[:, 1]
    gradient = one.vjp(B, F, y[:, 1])
    scale = np.max(np.abs(gradient))
    assert_close(network.vjp(B, F, only), gradient, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "kind", ["dense", "fortran", "read-only", "csr", "unsorted-csr"]
)
@pytest.mark.parametrize(
    "n, d, l",
    [
        *[(1, 1, 1), (0, 64, 10), (7, 64, 10), (33, 1000, 100), (9, 1000, 200)],
        *[(6, 1000, 500), (20, 3000, 600), (3, 10000, 2000), (5, 9000, 4096)],
    ],
)
def test_compiled_sketch_of_rows_agrees(monkeypatch, n, d, l, kind, dtype):
    rng = np.random.default_rng(0)
    like = np.empty(0, dtype)
    sketch = make_sketch("block-hadamard", l, d, rng=rng, like=like)
    X = rng.standard_normal((n, d)).astype(dtype)
    if kind == "fortran":
        X = np.asfortranarray(X)
    elif kind == "read-only":
        X.flags.writeable = False
    elif kind != "dense":
        X[rng.uniform(size=X.shape) < 0.9] = 0
        X[:, 100:700] = 0
        X = sparse.csr_array(X)
    if kind == "unsorted-csr":
        for i in range(n):
            part = slice(X.indptr[i], X.indptr[i + 1])
            X.data[part], X.indices[part] = X.data[part][::-1], X.indices[part][::-1]
        X.has_sorted_indices = False
    slow = project_rows(sketch, X)
    monkeypatch.setattr(jit, "_FEWEST_NUMBERS", 0)
    fast = project_rows(sketch, X)
    assert fast.dtype == dtype
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert_close(fast, slow, rtol=rtol, atol=rtol * np.max(np.abs(slow), initial=0))


@pytest.mark.parametrize("to_input", [np.asarray, sparse.csr_array])
def test_sketch_of_a_row_is_independent_of_other_rows_and_threads(
    monkeypatch, to_input
):
    monkeypatch.setattr(jit, "_FEWEST_NUMBERS", 0)
    rng = np.random.default_rng(0)
    sketch = make_sketch("block-hadamard", 100, 500, rng=rng, like=np.empty(0))
    X = rng.standard_normal((40, 500))
    images = project_rows(sketch, to_input(X))
    monkeypatch.setattr("sklearn_jlntk._backend.threads._n_processors", lambda: 3)
    assert_same(images[:, 20:23], project_rows(sketch, to_input(X[20:23])))
    with threadpool_limits(3, user_api="blas"):
        assert_same(images, project_rows(sketch, to_input(X)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stages_of_a_sketch_multiply_to_its_length(dtype):
    from sklearn_jlntk._backend.jit._row_sketch import _radices

    for n_bytes in (32, 64):
        lanes = n_bytes // np.dtype(dtype).itemsize
        for length in 2 ** np.arange(6, 13):
            first, middle, last = _radices(length, lanes)
            assert first * middle * last * lanes == length
            assert first in (4, 8, 16)
            assert middle in (1, 8)
            assert last in (1, 4, 8, 16)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_number_of_threads_changes_no_bit(compiled, n_outputs, monkeypatch):
    monkeypatch.setattr("sklearn_jlntk._backend.threads._n_processors", lambda: 3)
    network, B, F, y = draw(64, 500, 100, n_outputs=n_outputs)
    compiled(True)
    alone = network.value_and_gradient(B, F, y)
    with threadpool_limits(3, user_api="blas"):
        several = network.value_and_gradient(B, F, y)
    assert_same(alone[0], several[0])
    assert_same(alone[1], several[1])


def test_threads_follow_the_limits():
    from sklearn_jlntk._backend.jit._compiled import n_threads

    with threadpool_limits(1):
        assert n_threads() == 1


def test_parts_on_threads_cover_all_items_once(monkeypatch):
    from sklearn_jlntk._backend.jit import _compiled

    for threads, n_items in [(1, 10), (3, 100), (4, 17), (8, 1), (2, 0)]:
        monkeypatch.setattr(_compiled, "n_threads", lambda threads=threads: threads)
        seen = []

        def work(start, stop, seen=seen):
            seen.append((start, stop))

        _compiled.run_on_threads(work, n_items, 16)
        covered = [i for start, stop in sorted(seen) for i in range(start, stop)]
        assert covered == list(range(n_items))
        assert all(start % 16 == 0 for start, _ in seen)


def test_small_problems_and_other_arrays_are_not_compiled():
    network, _, F, _ = draw(64, 2**14, 64)
    applies_to = AbcNumbaPass().applies_to
    assert applies_to(network, F)
    assert not applies_to(network, F[:, :63])
    assert not applies_to(network, F.astype(np.float16))
    assert not applies_to(draw(5000, 2**14, 64)[0], F)
    assert applies_to(draw(64, 2**14, 64, n_outputs=40)[0], F)
    bc = FactorizedNetwork.from_arrays(v=np.ones(2**14))
    assert not applies_to(bc, F)


@pytest.fixture
def run_python(tmp_path):
    """Function that runs code in a new process, and returns its standard output."""

    def run(code, **environment):
        result = run_code(code, tmp_path, **environment)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return run


def test_import_does_not_import_numba(run_python):
    code = "import sys, sklearn_jlntk.network; print('numba' in sys.modules)"
    assert run_python(code) == "False"


@pytest.mark.parametrize("depth, imported", [(1, "False"), (2, "True")])
def test_large_kernel_matrix_imports_numba_only_to_use_it(depth, imported, run_python):
    code = (
        "import sys, numpy as np; from sklearn_jlntk.kernels import ntk_kernel;"
        f"ntk_kernel(np.random.default_rng(0).normal(size=(800, 3)), depth={depth});"
        "print('numba' in sys.modules)"
    )
    assert run_python(code) == imported


LARGE = """
import numpy as np
from sklearn_jlntk.network._pass_abc_numba import AbcNumbaPass
from sklearn_jlntk.kernels import nngp_kernel, ntk_kernel
from sklearn_jlntk.network import FactorizedNetwork
from sklearn_jlntk.operators import Identity, make_sketch
A = make_sketch("block-hadamard", 64, 2**14, rng=np.random.default_rng(0),
                like=np.empty(0)).T
network = FactorizedNetwork(Identity((None, None), None), A, np.ones(2**14))
B, F = np.ones((64, 2)), np.ones((2, 64))
applies_to = AbcNumbaPass().applies_to
"""


def test_numba_disable_jit_switches_compiled_passes_off(run_python):
    code = LARGE + "print(applies_to(network, F), network.outputs(B, F).shape)"
    assert run_python(code, NUMBA_DISABLE_JIT="1") == "False (64,)"
    assert run_python(code, NUMBA_DISABLE_JIT="0") == "True (64,)"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_compiled_pass_survives_a_fork(run_python):
    code = LARGE + (
        "import os\n"
        "from threadpoolctl import threadpool_limits\n"
        "threadpool_limits(2)\n"
        "network.outputs(B, F)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if np.all(network.outputs(B, F) == network.outputs(B, F)) else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    assert run_python(code) == "0"


# ------------------------------------------------------------------- kernel tiles


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("bias", [0.0, 0.3])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("kind", ["first", "all", "nngp"])
def test_kernel_of_layers_agrees_to_rounding(monkeypatch, kind, depth, bias, dtype):
    X, Z = np.random.default_rng(0).normal(size=(2, 150, 7)).astype(dtype)
    X[:4] = Z[0], -Z[1], 3 * Z[2], 0 * X[3]

    def kernel(Y):
        if kind == "nngp":
            return nngp_kernel(X, Y, depth=depth, bias=bias)
        return ntk_kernel(X, Y, depth=depth, bias=bias, train=kind)

    for Y in (Z, None):
        matrices = []
        for fewest in (1, float("inf")):
            monkeypatch.setattr(jit, "_FEWEST_PAIRS", fewest)
            matrices.append(kernel(Y))
        fast, slow = matrices
        assert fast.dtype == dtype
        rounding = 8 * np.finfo(dtype).eps
        assert_close(fast, slow, rtol=rounding, atol=rounding * np.max(np.abs(slow)))
