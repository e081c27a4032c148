"""Kernels of planned steps: exact integers, gates, residuals, and parts of TF32."""

from fractions import Fraction

import numpy as np
import pytest
from assertions import assert_close, assert_same

from sklearn_jlntk._backend import cuda
from sklearn_jlntk._backend.array_api import array_namespace, to_host
from sklearn_jlntk._backend.cuda.steps import StepKernels, errors_of_products

DTYPES = [np.float32, np.float64]


def kernels_for(dtype, n_outputs=1):
    itemsize = np.dtype(dtype).itemsize
    return StepKernels(itemsize, {4: "float", 8: "double"}[itemsize], n_outputs)


def draw(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("l, n, n_outputs", [(1, 16, 1), (5, 48, 3), (3, 560, 2)])
def test_slices_are_integers_that_add_up(card, l, n, n_outputs, dtype):
    kernels = kernels_for(dtype, n_outputs)
    F = draw(l, n, dtype=dtype) * np.geomspace(1e-12, 1e8, l, dtype=dtype)[:, None]
    c = draw(n_outputs, n, dtype=dtype, seed=1)
    F, c = card(F), card(c)
    xp = array_namespace(F)
    slices = xp.empty((n_outputs, kernels.n_slices, l, n), dtype=xp.int8)
    scales = xp.empty((n_outputs, l), dtype=xp.float64)
    kernels.cut(F, c, slices, scales)()
    q, scales, F, c = map(to_host, (slices, scales, F, c))
    assert np.max(np.abs(q.astype(int))) <= 64
    products = F[None, :, :].astype(float) * c[:, None, :]
    assert_close(scales, np.max(np.abs(products), axis=2), rtol=1e-15)
    for o, j, i in np.ndindex(n_outputs, l, min(n, 40)):
        exact = Fraction(float(F[j, i])) * Fraction(float(c[o, i]))
        found = sum(Fraction(int(x), 128**k) for k, x in enumerate(q[o, :, j, i]))
        unit = Fraction(float(scales[o, j])) / 64
        half = unit / 128 ** (kernels.n_slices - 1) / 2
        # In float64 the product and its scaling are rounded before they are cut.
        rounding = abs(exact) * Fraction(4, 2**53)
        assert abs(found * unit - exact) <= half + rounding


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_zeros_and_tiny_numbers_have_slices_of_zeros(card, dtype):
    F = np.zeros((2, 32), dtype)
    F[1] = np.finfo(dtype).smallest_subnormal
    c = np.full((1, 32), np.finfo(dtype).smallest_subnormal)
    kernels, F, c = kernels_for(dtype), card(F), card(c)
    xp = array_namespace(F)
    slices = xp.full((1, kernels.n_slices, 2, 32), 7, dtype=xp.int8)
    scales = xp.empty((1, 2), dtype=xp.float64)
    kernels.cut(F, c, slices, scales)()
    product = to_host(slices).astype(float)[0, 0] * to_host(scales)[0][:, None] / 64
    assert np.all(product[0] == 0)
    assert np.all(np.isfinite(product))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, l, n, n_outputs", [(3, 2, 16, 1), (70, 5, 48, 3)])
def test_gradient_of_integers_is_that_of_exact_sums(card, m, l, n, n_outputs, dtype):
    """The sums over samples are integers, equal to those of Python."""
    kernels = kernels_for(dtype, n_outputs)
    rng = np.random.default_rng(0)
    gates = rng.integers(0, 2, (m, n)).astype(np.int8)
    signs = rng.choice(np.array([-1, 1], dtype), (m, n_outputs))
    F, c = draw(l, n, dtype=dtype), draw(n_outputs, n, dtype=dtype, seed=1)
    B, anchor = draw(m, l, dtype=dtype, seed=2), draw(m, l, dtype=dtype, seed=3)
    F_, c_, gates_, signs_, B_, anchor_ = map(card, (F, c, gates, signs, B, anchor))
    xp = array_namespace(F_)
    slices = xp.empty((n_outputs * kernels.n_slices * l, n), dtype=xp.int8)
    scales = xp.empty((n_outputs, l), dtype=xp.float64)
    products = xp.empty((m, n_outputs * kernels.n_slices * l), dtype=xp.int32)
    after, penalties = xp.empty_like(B_), xp.empty(kernels.n_penalties(B_))
    rates = (0.5, 0.25)
    kernels.cut(F_, c_, slices, scales)()
    cuda.prepared_product(products, gates_, slices, transposed=True, kind="integers")()
    arrays = (products, scales, signs_, B_, anchor_, rates, after, None, penalties)
    kernels.descend(*arrays)()
    q = to_host(slices).astype(object)
    assert np.all(to_host(products) == gates.astype(object) @ q.T)
    S = signs.astype(float) @ c * gates
    gradient = S @ F.T.astype(float) + rates[1] * (B.astype(float) - anchor)
    moved = B - rates[0] * gradient
    assert_close(after, moved.astype(dtype), rtol=8 * np.finfo(dtype).eps, atol=1e-7)
    if dtype == np.float64:
        assert_close(after, moved, rtol=1e-14, atol=1e-14)  # sums may cancel
    shift = B.astype(float) - anchor
    assert_close(np.sum(to_host(penalties)), np.sum(shift**2), rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, n, n_outputs", [(1, 16, 1), (131, 528, 3), (300, 48, 2)])
def test_gates_and_sums_of_outputs(card, m, n, n_outputs, dtype):
    kernels = kernels_for(dtype, n_outputs)
    P, v = draw(m, n, dtype=dtype), draw(m, n_outputs, dtype=dtype, seed=1)
    P[0, 0] = 0.0  # closed
    values, signs = card(P), card(v)
    xp = array_namespace(values)
    *_, parts = kernels.gate_parts(m, n)
    gates = xp.full((m, n), 9, dtype=xp.int8)
    sums = xp.full((parts, n_outputs, n), np.nan, dtype=values.dtype)
    kernels.gate_bytes(values, signs, gates, sums)()
    assert_same(gates, (P > 0).astype(np.int8))
    desired = v.T @ np.maximum(P, 0)
    assert_close(np.sum(to_host(sums), axis=0), desired, atol=1e-5)  # signs may cancel


@pytest.mark.parametrize("n, n_outputs, parts", [(1, 1, 1), (33, 2, 20), (144, 3, 9)])
def test_residuals_and_loss(card, n, n_outputs, parts):
    kernels = kernels_for(np.float64, n_outputs)
    sums, y = draw(parts, n_outputs, n), draw(n_outputs, n, seed=1)
    w = np.abs(draw(n, seed=2))
    arrays = [card(a) for a in (sums, y, w)]
    xp = array_namespace(arrays[0])
    cotangents = xp.full((n_outputs, n), np.nan, dtype=xp.float64)
    squares = xp.empty((kernels.n_squares(n),), dtype=xp.float64)
    penalties, loss = card(np.abs(draw(700, seed=3))), xp.empty((1,), dtype=xp.float64)
    kernels.residuals(*arrays, 0.25, cotangents, squares)()
    residual = 0.25 * np.sum(sums, axis=0) - y
    assert_close(cotangents, 0.25 * w * residual, rtol=1e-12, atol=1e-14)
    for alpha in (0.0, 0.7):
        kernels.loss(squares, penalties, alpha, loss)()
        desired = np.sum(w * residual**2) + alpha * np.sum(to_host(penalties))
        assert_close(loss, np.array([desired / 2]), rtol=1e-13)


def test_sums_of_outputs_whose_parts_stand_together(card):
    sums, y, w = draw(3, 5, 40), draw(3, 40, seed=1), np.ones(40)
    arrays = [card(a) for a in (sums, y, w)]
    xp = array_namespace(arrays[0])
    kernels = StepKernels(8, "double", 3, has_parts_inside=True)
    cotangents = xp.empty((3, 40), dtype=xp.float64)
    squares = xp.empty((kernels.n_squares(40),), dtype=xp.float64)
    kernels.residuals(*arrays, 0.5, cotangents, squares)()
    desired = 0.5 * (0.5 * np.sum(sums, axis=1) - y)
    assert_close(cotangents, desired, rtol=1e-12, atol=1e-14)  # differences


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, n, n_outputs", [(1, 16, 1), (131, 528, 7)])
def test_weighed_gates(card, m, n, n_outputs, dtype):
    kernels = kernels_for(dtype, n_outputs)
    gates = np.random.default_rng(0).integers(0, 2, (m, n)).astype(np.int8)
    v, c = draw(m, n_outputs, dtype=dtype), draw(n_outputs, n, dtype=dtype, seed=1)
    arrays = [card(a) for a in (gates, v, c)]
    xp = array_namespace(arrays[1])
    weighed = xp.full((m, n), np.nan, dtype=arrays[1].dtype)
    kernels.weigh_gates(*arrays, weighed)()
    assert_close(weighed, gates * (v @ c), atol=1e-5)  # sums may cancel


def test_parts_have_eleven_bits_and_add_up(card):
    x = (draw(5, 40) * 2.0 ** np.arange(-20, 20)).astype(np.float32)
    x[0, :3] = np.inf, -np.inf, np.nan
    numbers = card(x)
    xp = array_namespace(numbers)
    parts = xp.empty((5, 3, 40), dtype=xp.float32)
    StepKernels(4, "float").parts_of(numbers, parts)()
    low, high, again = np.moveaxis(to_host(parts), 1, 0)
    assert_same(high, again)
    assert_same(high[0, :3], x[0, :3])
    assert np.all(~np.isfinite((low + high)[0, :3]))
    low, high, x = low[1:], high[1:], x[1:]
    for part in (low, high):
        assert np.all(np.ascontiguousarray(part).view(np.uint32) & 0x1FFF == 0)
    assert np.max(np.abs(low.astype(float) + high - x) / np.abs(x)) <= 2.0**-23
    assert np.max(np.abs(low) / np.abs(x)) <= 2.0**-11


def test_product_of_parts_is_one_of_float32(card):
    plain, of_parts = errors_of_products(card(np.zeros(1, np.float32)), 128)
    assert 0 < plain < 1e-5
    assert of_parts < 8 * plain


def on_matrix_units(A, B):
    """Product in float32 by a model of matrix units: sums of eight terms, truncated."""
    total = np.zeros((len(A), B.shape[1]))
    for terms in range(0, A.shape[1], 8):
        total += A[:, terms : terms + 8].astype(float) @ B[terms : terms + 8].astype(
            float
        )
        mantissa, exponent = np.frexp(total)
        total = np.ldexp(np.trunc(mantissa * 2.0**24) / 2.0**24, exponent)
    return total


def test_small_products_come_first_as_matrix_units_truncate(card):
    """Two to three times the error of float32, where the other order has eight times it."""
    A, B = draw(64, 128, dtype=np.float32), draw(128, 500, dtype=np.float32, seed=1)
    numbers = card(A)
    xp = array_namespace(numbers)
    left = xp.empty((64, 3, 128), dtype=xp.float32)
    StepKernels(4, "float").parts_of(numbers, left)()
    left, right = to_host(left), to_host(cuda.stacked_parts(card(B)))
    right = right.reshape(3, 128, 500)
    exact = A.astype(float) @ B.astype(float)

    def error(order):
        first = np.concatenate([left[:, part, :] for part in order], axis=1)
        second = np.concatenate([right[part] for part in order])
        return np.sqrt(np.mean((on_matrix_units(first, second) - exact) ** 2))

    plain = np.sqrt(np.mean((A @ B - exact) ** 2))
    assert error([0, 1, 2]) < 4 * plain
    assert error([2, 1, 0]) > 4 * plain
