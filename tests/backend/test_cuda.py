"""The CUDA kernels agree with the operators, on a GPU and on the CPU.

Without a GPU their sources run on the CPU, thread by thread, through the same wrappers.
"""

import numpy as np
import pytest
from assertions import assert_close, assert_same
from cuda_on_host import COMPILER, pretend_numpy_is_on_a_card

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import from_host, to_host
from sklearn_jlntk._backend.cuda import _kernels
from sklearn_jlntk._backend.cuda._kernels import Kernels, n_parts
from sklearn_jlntk.network import FactorizedNetwork, _pass_arrays
from sklearn_jlntk.network._pass_abc_cuda import AbcCudaPass
from sklearn_jlntk.operators import Identity, make_sketch, project_rows

LENGTHS = [64, 128, 256, 512, 1024, 2048, 4096]

# Effective width, neurons, samples: blocks that are not full, columns that are embedded,
# samples that fill no warp, samples with a warp of their own and with several.
SHAPES = [
    (64, 64, 16),
    (40, 131, 7),
    (128, 1, 33),
    (200, 300, 20),
    (256, 1500, 19),
    (300, 700, 1),
    (1024, 1500, 3),
    (1500, 2100, 2),
    (4096, 5000, 2),
]


def draw(k, m, n, *, dtype=np.float64, n_outputs=1, like=np.asarray):
    """Expansion, readout and columns in front of the expansion."""
    rng = np.random.default_rng(0)
    place = like(np.empty(0, dtype))
    A = make_sketch("block-hadamard", k, m, rng=rng, like=place).T
    v = rng.choice(np.array([-1, 1], dtype), size=(m, n_outputs))
    return A, like(v), like(rng.standard_normal((k, n)).astype(dtype))


def relu_pass(A, hidden, v):
    """The fused pass of an expansion."""
    S = A.T
    return cuda.relu_pass(hidden, S.input_signs, S.block_signs, S.positions, v)


def by_operator(A, hidden, v):
    """The same by the operator's products, on the host."""
    p, v = to_host(A.matmat(hidden)), to_host(v)
    open_ = (p > 0).astype(v.dtype)
    G = [to_host(A.rmatmat(from_host(open_ * w[:, None], hidden))) for w in v.T]
    return v.T @ (open_ * p), np.stack(G)


@pytest.mark.parametrize("k, m, n", SHAPES)
def test_relu_pass_is_that_of_the_operator(card, k, m, n):
    A, v, hidden = draw(k, m, n, like=card)
    for actual, desired in zip(
        relu_pass(A, hidden, v), by_operator(A, hidden, v), strict=True
    ):
        assert_close(
            actual, desired, rtol=1e-12, atol=1e-12 * np.max(np.abs(desired))
        )  # entries may cancel


@pytest.mark.parametrize("k, m, n", SHAPES[3:6])
def test_relu_pass_in_single_precision(card, k, m, n):
    A, v, hidden = draw(k, m, n, dtype=np.float32, like=card)
    u, G = relu_pass(A, hidden, v)
    assert u.dtype == G.dtype == hidden.dtype
    single, double = draw(k, m, n, dtype=np.float32), draw(k, m, n)
    exact = by_operator(double[0], single[2].astype(np.float64), double[1])
    # Pre-activations within rounding of zero may open a gate or not: one or two of them
    # change an entry of G by at most 2 / sqrt(k) each, and u by nothing.
    assert_close(u, exact[0], rtol=1e-5, atol=1e-5 * np.max(np.abs(exact[0])))
    assert_close(G, exact[1], rtol=1e-5, atol=4 / k**0.5 + 1e-4)


def test_several_outputs_are_those_of_the_operator(card):
    A, v, hidden = draw(100, 400, 9, n_outputs=3, like=card)
    for actual, desired in zip(
        relu_pass(A, hidden, v), by_operator(A, hidden, v), strict=True
    ):
        assert_close(actual, desired, atol=1e-12 * np.max(np.abs(desired)))


# Each number of outputs and dtype is compiled by itself.
@pytest.mark.parametrize(
    "k, m, n, n_outputs, dtype",
    [
        *((*shape, 2, np.float64) for shape in SHAPES),
        (*SHAPES[3], 1, np.float64),
        (*SHAPES[5], 16, np.float64),
        (*SHAPES[4], 16, np.float32),
        (*SHAPES[6], 1, np.float32),
        (*SHAPES[8], 3, np.float32),
    ],
)
def test_outputs_and_their_adjoint(card, k, m, n, n_outputs, dtype):
    A, v, hidden = draw(k, m, n, n_outputs=n_outputs, like=card)
    # Signed sums of integers are exact, and not zero where their sum is odd, so that
    # float32 opens the same gates.
    integers = np.round(4 * to_host(hidden))
    integers[0] += 1 - np.sum(integers, axis=0) % 2
    hidden = card(integers.astype(dtype))
    v, S = card(to_host(v).astype(dtype)), A.T
    u = cuda.relu_outputs(hidden, S.input_signs, S.block_signs, S.positions, v)
    cotangents = card(np.random.default_rng(1).standard_normal((n_outputs, n), dtype))
    embedded = card(np.zeros((n, S.block_length), dtype))
    embedded[:, S.positions] = hidden.T
    launch, back = cuda.prepared_adjoint(
        embedded, S.input_signs, S.block_signs, v, k, cotangents
    )
    launch()
    exact = card(to_host(hidden).astype(np.float64))
    desired, G = by_operator(A, exact, card(to_host(v).astype(np.float64)))
    adjoint = np.einsum("qkn,qn->kn", G, to_host(cotangents))
    assert u.dtype == back.dtype == dtype
    bound = 1e-12 if dtype == np.float64 else 1e-5
    assert_close(u, desired, atol=bound * np.max(np.abs(desired)))
    actual = to_host(back).sum(axis=0).T[to_host(S.positions)]
    assert_close(actual, adjoint, atol=bound * np.max(np.abs(G)) * n_outputs)


@pytest.mark.parametrize("k, m, n", SHAPES)
def test_sketch_of_rows_is_that_of_the_operator(card, k, m, n):
    A, _, _ = draw(k, m, n, like=card)
    S, X = A.T, np.random.default_rng(1).standard_normal((n, m))
    desired = S.matmat(card(np.ascontiguousarray(X.T)))
    assert cuda.has_row_sketch(card(X), S.block_signs)
    images = project_rows(S, card(X))
    assert_close(images, desired, rtol=1e-12, atol=1e-12 * k**0.5)  # sums may cancel
    assert_same(project_rows(S, card(X[:1])), images[:, :1])


@pytest.mark.parametrize(
    "n_neurons, n_samples", [(1, 1), (70, 31), (200, 33), (3, 300)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gates_are_packed_and_unpacked(card, n_neurons, n_samples, dtype):
    rng = np.random.default_rng(0)
    P = rng.standard_normal((n_neurons, n_samples)).astype(dtype)
    P[0, 0] = 0.0  # closed
    v = rng.standard_normal((n_neurons, 1)).astype(dtype)
    gates, sums = cuda.gate_pass(card(P), card(v))
    numbers = cuda.open_gates(gates, n_samples, P.dtype)
    assert_same(numbers, (P > 0).astype(dtype))
    assert gates.nbytes == 4 * n_neurons * -(-n_samples // 32)
    desired = v.T @ np.maximum(P, 0)
    assert_close(sums, desired, atol=1e-6)  # signs may cancel


@pytest.mark.parametrize("k", [None, 64, 200])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_network_is_the_same_with_and_without_kernels(card, k, n_outputs, monkeypatch):
    rng = np.random.default_rng(0)
    n, m, l = 45, 300, 6
    like = card(np.empty(0))
    A = Identity((m, m), like)
    if k is not None:
        A = make_sketch("block-hadamard", k, m, rng=rng, like=like).T
    v = card(rng.choice(np.array([-1, 1], np.int8), size=(m, n_outputs)))
    network = FactorizedNetwork(Identity((None, None), None), A, v)
    B, direction = (card(rng.standard_normal((k or m, l))) for _ in range(2))
    F = card(rng.standard_normal((l, n)))
    y = card(rng.standard_normal((n, n_outputs)))

    def compute():
        return (
            *network.value_and_gradient(B, F, y),
            network.outputs(B, F),
            network.jvp(B, F, direction),
            network.projected_gates(B, F),
        )

    assert AbcCudaPass().applies_to(network, F) == (k is not None)
    with_kernels = compute()
    monkeypatch.setattr(_kernels, "is_cupy_array", lambda x: False)
    assert not AbcCudaPass().applies_to(network, F)
    for actual, desired in zip(with_kernels, compute(), strict=True):
        scale = float(abs(to_host(desired)).max())
        assert_close(actual, desired, rtol=1e-12, atol=1e-12 * scale)


def test_bc_network_keeps_its_gates_as_bits(card):
    P = card(np.random.default_rng(0).standard_normal((64, 40)))
    v = card(np.ones((64, 1)))
    gates, _ = _pass_arrays.gate_pass(P, v)
    assert gates.shape == (64, 2)
    assert_same(_pass_arrays.as_numbers(gates, P), np.asarray(to_host(P) > 0, float))


def test_missing_barrier_is_detected(libraries, monkeypatch):
    """The two orders of threads disagree where a barrier is missing."""
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    text = Kernels.text
    monkeypatch.setattr(
        Kernels, "text", lambda self: text(self).replace("__syncthreads();", "")
    )
    (libraries / "raced").mkdir()
    A, v, hidden = draw(4096, 4096, 1)
    results = []
    for backward in (False, True):
        pretend_numpy_is_on_a_card(monkeypatch, libraries / "raced", backward=backward)
        results.append(relu_pass(A, hidden, v)[1])
    assert not np.array_equal(*results)


def test_missing_shuffle_is_detected(libraries, monkeypatch):
    """A launch fails where a thread of a warp leaves before the others shuffle."""
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    text, there = Kernels.text, "const bool is_there = sample < n_samples;"
    early = f"{there} if (!is_there) return;"
    monkeypatch.setattr(Kernels, "text", lambda self: text(self).replace(there, early))
    (libraries / "early").mkdir()
    pretend_numpy_is_on_a_card(monkeypatch, libraries / "early")
    with pytest.raises(AssertionError, match="did not meet"):
        relu_pass(*[draw(256, 256, 1)[i] for i in (0, 2, 1)])


def test_sizes_of_launches():
    for itemsize in (4, 8):
        for length in LENGTHS:
            kernels = Kernels.of_blocks(itemsize, length)
            assert kernels.lanes * kernels.held == length
            assert kernels.threads % kernels.lanes == 0
            assert kernels.held <= 32  # bits of a word
            # A block gets 48 KB of shared memory without asking for more.
            assert (
                kernels.lanes <= 32
                or kernels.held * kernels.threads * itemsize <= 49152
            )


@pytest.mark.parametrize("blocks, items", [(1, 1), (1, 5000), (63, 256), (4096, 9)])
def test_parts_cover_all_items(blocks, items):
    length, parts = n_parts(blocks, items)
    assert (parts - 1) * length < items <= parts * length
    assert parts == 1 or blocks * parts <= 2**12


def test_kernels_do_not_apply_to_other_arrays():
    A, _, hidden = draw(64, 128, 4)
    assert not cuda.has_relu_pass(hidden, A.T.block_signs, 128)
    assert not cuda.has_row_sketch(hidden, A.T.block_signs)
    assert not cuda.has_gate_pass(hidden, hidden[:, :1])
