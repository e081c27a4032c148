"""The contract of the operators: one class of tests for every member of the family.

A new member brings the dense matrix that it equals, written naively from its fields.
"""

import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from assertions import assert_close, assert_same
from scipy.linalg import hadamard

from sklearn_jlntk._backend.array_api import array_namespace, device, from_host, to_host
from sklearn_jlntk.operators import (
    SKETCHES,
    SRHT,
    Adjoint,
    BlockHadamard,
    Dense,
    FastJL,
    Identity,
    Operator,
    Rademacher,
    Sparse,
    make_sketch,
)

SHAPES = [(1, 1), (5, 7), (70, 150)]


def block_hadamard_matrix(operator):
    """Blocks of columns k^(-1/2) (D_b H D_out,b)_R, side by side."""
    k, m = operator.shape
    L = operator.block_length
    D, signs = to_host(operator.block_signs), to_host(operator.input_signs)
    blocks = [np.diag(D_b) @ hadamard(L) for D_b in D.astype(float)]
    kept = np.concatenate(blocks, axis=1)[to_host(operator.positions), :m]
    return kept * signs / k**0.5


def srht_matrix(operator):
    """Rows of H D over the square root of their number."""
    n_out, n_in = operator.shape
    H = hadamard(operator.length).astype(float)
    kept = H[to_host(operator.positions), :n_in]
    return kept * to_host(operator.signs) / n_out**0.5


def fast_jl_matrix(operator):
    """P H D, the scale of H within P."""
    n_in = operator.shape[1]
    P = sparse_matrix(operator.projection)
    H = hadamard(P.shape[1]).astype(float)
    return (P @ H)[:, :n_in] * to_host(operator.signs)


def sparse_matrix(operator):
    """Entries added one by one."""
    matrix = np.zeros(operator.shape)
    indices, values = to_host(operator.row_indices), to_host(operator.row_values)
    for row, (columns, entries) in enumerate(zip(indices, values, strict=True)):
        for column, entry in zip(columns, entries, strict=True):
            matrix[row, column] += entry
    return matrix * operator.scale


MATRICES = {
    Identity: lambda operator: np.eye(operator.shape[0]),
    Dense: lambda operator: to_host(operator.matrix).astype(float),
    Rademacher: lambda operator: to_host(operator.signs) / operator.shape[0] ** 0.5,
    BlockHadamard: block_hadamard_matrix,
    SRHT: srht_matrix,
    FastJL: fast_jl_matrix,
    Sparse: sparse_matrix,
    Adjoint: lambda operator: naive_matrix(operator.operator).T,
}


def naive_matrix(operator):
    """Matrix of an operator, from its fields, in float64 on the host."""
    return MATRICES[type(operator)](operator)


def build(member, shape, like, seed=0):
    """Operator by the name of a sketch, "dense", or the adjoint of a sketch."""
    if member == "dense":
        matrix = np.random.default_rng(seed).standard_normal(shape)
        return Dense.from_matrix(from_host(matrix, like, like.dtype))
    name, _, view = member.partition(".")
    n_out, n_in = (shape[1],) * 2 if name == "identity" else shape
    if view:
        return make_sketch(name, n_in, n_out, rng=seed, like=like).T
    return make_sketch(name, n_out, n_in, rng=seed, like=like)


MEMBERS = [*SKETCHES, "dense", *(f"{name}.T" for name in SKETCHES)]


def random_columns(n_rows, n_columns, like, seed=1):
    """Gaussian columns in the namespace and dtype of `like`."""
    values = np.random.default_rng(seed).standard_normal((n_rows, n_columns))
    return from_host(values, like, like.dtype)


def assert_image(actual, desired):
    """Equality to rounding of images, relative to the largest number of each."""
    eps = np.finfo(to_host(actual).dtype).eps
    # Entries near zero are sums that cancel: they are right relative to the terms.
    atol = 100 * eps * float(np.max(np.abs(to_host(desired)), initial=0.0))
    assert_close(actual, desired, atol=atol)


@pytest.fixture
def like(xp, dtype):
    """Array with the namespace, device and dtype of the test."""
    return xp.ones(1, dtype=dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("member", MEMBERS)
class TestOperator:
    """Contract of every operator."""

    @pytest.fixture
    def operator(self, member, shape, like):
        return build(member, shape, like)

    def test_to_dense_is_the_matrix_of_the_fields(self, operator, dtype):
        matrix = operator.to_dense()
        assert matrix.dtype == dtype
        assert_image(matrix, naive_matrix(operator))

    def test_verbs_are_products_with_the_matrix(self, operator, like):
        matrix = naive_matrix(operator)
        for n_columns in (1, 3, 70):
            V = random_columns(operator.shape[1], n_columns, like)
            U = random_columns(operator.shape[0], n_columns, like)
            assert_image(operator.matmat(V), matrix @ to_host(V))
            assert_image(operator.rmatmat(U), matrix.T @ to_host(U))

    def test_dot_test(self, operator, like):
        v = random_columns(operator.shape[1], 1, like, seed=2)
        u = random_columns(operator.shape[0], 1, like, seed=3)
        Sv, Su = to_host(operator.matmat(v)), to_host(operator.rmatmat(u))
        size = np.linalg.norm(Sv) * np.linalg.norm(to_host(u))
        # The two sides may be near zero: they are right relative to the norms.
        atol = 100 * np.finfo(Sv.dtype).eps * size
        assert_close(np.sum(Sv * to_host(u)), np.sum(to_host(v) * Su), atol=atol)

    def test_adjoint_view_swaps_the_verbs(self, operator, like):
        V = random_columns(operator.shape[0], 3, like)
        U = random_columns(operator.shape[1], 3, like)
        assert operator.T.shape == operator.shape[::-1]
        assert_same(operator.T.matmat(V), operator.rmatmat(V))
        assert_image(operator.T.to_dense(), to_host(operator.to_dense()).T)
        assert_same(operator.T.T.matmat(U), operator.matmat(U))

    def test_columns_are_independent(self, operator, like):
        xp = array_namespace(like)
        V = random_columns(operator.shape[1], 70, like)
        alone = operator.matmat(V[:, 5:6])
        others = xp.concat([1e3 * V[:, :5], V[:, 5:6], 0 * V[:, 6:]], axis=1)
        assert_image(operator.matmat(V)[:, 5:6], alone)
        assert_image(operator.matmat(others)[:, 5:6], alone)

    def test_image_has_the_dtype_of_the_columns(self, operator, xp):
        for dtype in (xp.float32, xp.float64):
            V = xp.ones((operator.shape[1], 2), dtype=dtype)
            U = xp.ones((operator.shape[0], 2), dtype=dtype)
            assert operator.matmat(V).dtype == dtype
            assert operator.rmatmat(U).dtype == dtype

    def test_empty_columns_have_empty_images(self, operator, like):
        n_out, n_in = operator.shape
        assert operator.matmat(random_columns(n_in, 0, like)).shape == (n_out, 0)
        assert operator.rmatmat(random_columns(n_out, 0, like)).shape == (n_in, 0)

    def test_chunks_of_columns_make_no_difference(self, operator, like, monkeypatch):
        V = random_columns(operator.shape[1], 150, like)
        U = random_columns(operator.shape[0], 150, like)
        image, adjoint = operator.matmat(V), operator.rmatmat(U)
        monkeypatch.setattr(Operator, "_numbers_at_once", 2**8)
        monkeypatch.setattr(Sparse, "_n_gathered", 1)
        monkeypatch.setattr(Rademacher, "_n_expanded", 1)
        assert_image(operator.matmat(V), image)
        assert_image(operator.rmatmat(U), adjoint)

    def test_error_names_the_columns_that_are_taken(self, operator, like):
        n_out, n_in = operator.shape
        for verb, n_rows in ((operator.matmat, n_in), (operator.rmatmat, n_out)):
            message = rf"shape \({n_rows}, n_columns\). Transpose rows of samples first"
            for wrong in (random_columns(n_rows + 1, 2, like), like):
                with pytest.raises(ValueError, match=message):
                    verb(wrong)

    def test_pickle_keeps_the_matrix(self, operator):
        copy = pickle.loads(pickle.dumps(operator))
        assert copy.shape == operator.shape
        assert device(copy.like) == device(operator.like)
        assert_same(copy.to_dense(), operator.to_dense())

    def test_fields_cannot_be_changed(self, operator):
        for field in fields(operator):
            with pytest.raises(FrozenInstanceError):
                setattr(operator, field.name, None)

    def test_conversion_keeps_the_matrix(self, member, shape, like):
        on_host = build(member, shape, np.ones(1, dtype=to_host(like).dtype))

        def converter(array):
            return from_host(array, like)

        there = on_host.__sklearn_array_api_convert__(converter)
        assert array_namespace(there.to_dense()) is array_namespace(like)
        assert_image(there.to_dense(), on_host.to_dense())

    def test_seed_gives_the_same_operator_in_every_namespace(self, member, shape, like):
        on_host = build(member, shape, np.ones(1), seed=7)
        there = build(member, shape, like, seed=7)
        assert_image(there.to_dense(), naive_matrix(on_host))


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("shape", [(3, 1), (1, 9), (64, 64), (64, 130), (65, 129)])
def test_odd_sizes_are_products_with_the_matrix(member, shape, xp):
    like = xp.ones(1, dtype=xp.float64)
    operator = build(member, shape, like)
    V, U = (random_columns(operator.shape[i], 3, like) for i in (1, 0))
    matrix = naive_matrix(operator)
    assert_image(operator.matmat(V), matrix @ to_host(V))
    assert_image(operator.rmatmat(U), matrix.T @ to_host(U))


RANDOM = [name for name in SKETCHES if name != "identity"]


@pytest.mark.parametrize("kind", RANDOM)
class TestSketch:
    """Contract of every random operator."""

    def test_seed_gives_the_operator(self, kind):
        def matrix(rng):
            return make_sketch(kind, 20, 50, rng=rng, like=np.ones(1)).to_dense()

        for source in (int, np.random.RandomState, np.random.default_rng):
            assert_same(matrix(source(3)), matrix(source(3)))
            assert np.any(matrix(source(3)) != matrix(source(4)))

    def test_one_source_gives_different_operators(self, kind):
        rng = np.random.RandomState(0)
        first = make_sketch(kind, 20, 50, rng=rng, like=np.ones(1)).to_dense()
        second = make_sketch(kind, 20, 50, rng=rng, like=np.ones(1)).to_dense()
        assert np.any(first != second)

    @pytest.mark.parametrize("shape", [(10, 40), (3, 5), (64, 100)], ids=str)
    def test_squared_norm_is_preserved_on_average(self, kind, shape):
        # Mean over draws within 5 standard errors of 1, for a spread and a lone input.
        n_draws = 400
        spread = np.random.default_rng(0).standard_normal(shape[1])
        lone = np.eye(shape[1])[:, 0]
        X = np.stack([spread / np.linalg.norm(spread), lone], axis=1)
        rng = np.random.RandomState(1)
        squares = np.empty((n_draws, 2))
        for i in range(n_draws):
            S = make_sketch(kind, *shape, rng=rng, like=X)
            squares[i] = np.sum(S.matmat(X) ** 2, axis=0)
        error = squares.std(axis=0, ddof=1) / n_draws**0.5
        # Some sketches keep the norm of a single coordinate exactly.
        assert np.all(np.abs(squares.mean(axis=0) - 1) <= 5 * error + 1e-12)

    def test_entries_are_uncorrelated_of_variance_one_over_n_out(self, kind):
        # Mean over draws of each product of two entries of a row within 6 standard
        # errors: 190 numbers are looked at.
        n_draws, (n_out, n_in) = 1000, (6, 19)
        rng = np.random.RandomState(2)
        rows = np.empty((n_draws, n_in))
        for i in range(n_draws):
            S = make_sketch(kind, n_out, n_in, rng=rng, like=np.ones(1))
            rows[i] = S.to_dense()[i % n_out]
        products = rows[:, :, None] * rows[:, None, :] * n_out
        error = products.std(axis=0) / n_draws**0.5
        assert np.all(np.abs(products.mean(axis=0) - np.eye(n_in)) <= 6 * error + 1e-12)


def test_error_for_an_unknown_sketch_lists_the_known():
    with pytest.raises(
        ValueError, match=r"kind='dct' is not a sketch.*'block-hadamard'"
    ):
        make_sketch("dct", 2, 3, rng=0, like=np.ones(1))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
@pytest.mark.parametrize("kind", SKETCHES)
def test_error_for_empty_sketch(kind, shape):
    with pytest.raises(ValueError, match="both sizes must be at least 1"):
        make_sketch(kind, *shape, rng=0, like=np.ones(1))


def test_error_for_identity_of_two_sizes():
    with pytest.raises(ValueError, match=r"n_out=2 and n_in=3\. Use equal sizes"):
        make_sketch("identity", 2, 3, rng=0, like=np.ones(1))


def test_identity_of_any_size_returns_its_input(xp):
    identity = Identity((None, None), None)
    for V in (xp.ones((3, 2)), xp.ones((5, 0))):
        assert identity.matmat(V) is V
        assert identity.rmatmat(V) is V
        assert identity.T.matmat(V) is V


def test_identity_of_any_size_has_no_matrix():
    with pytest.raises(ValueError, match=r"Use Identity\(\(n, n\), like=array\)"):
        Identity((None, None), None).to_dense()


def test_dense_of_integers_computes_in_floats(xp):
    operator = Dense.from_matrix(xp.asarray([[1, 2], [3, 4]]))
    assert operator.like.dtype == xp.float64
    assert_same(operator.to_dense(), np.array([[1.0, 2.0], [3.0, 4.0]]))


def test_pickle_holds_a_bit_for_each_sign():
    like = np.ones(1)
    n_signs = {"block-hadamard": 2 * 2**16, "srht": 2**16, "rademacher": 64 * 2**16}
    for kind, n in n_signs.items():
        operator = make_sketch(kind, 64, 2**16, rng=0, like=like)
        # A bit a sign, the kept positions, and the names of the fields.
        assert len(pickle.dumps(operator)) < n / 8 + 8 * 64 + 1500
