"""Kernels of ReLU networks on tiles of pairs; all layers of a row are computed in cache.

With the arc tangent of the C library, a compiler computes pairs one by one. Here the arc
tangent is a polynomial without branches, and a row of pairs is computed as vectors.
"""

import math

import numpy as np

from sklearn_jlntk._backend.jit._compiled import compiled_arithmetic, inlined

# (atan(x) / x - 1) / x^2 in powers of x^2 for |x| <= tan(pi / 8): interpolated at
# Chebyshev nodes in 50 digits, with an error of 5e-18.
ARC_TANGENT = (
    -0.3333333333333333,
    0.19999999999995516,
    -0.14285714284665682,
    0.11111111015187018,
    -0.0909090457530649,
    0.07692183125376892,
    -0.06664510525508936,
    0.05858140904866328,
    -0.050854078345894844,
    0.03923044778479309,
    -0.019175404711104935,
)

_CONSTANTS = (0.5, 1.0, 2.0, 1 / math.pi, math.tan(math.pi / 8))


@inlined
def _angle_share(sine, s, c, constants, powers):
    """Angle over pi, from its sine, s = 1 - cos and c = 1 + cos."""
    half, one, two, inverse_pi, tangent = constants
    # tan(theta / 2) or its inverse, whichever is below 1, less pi / 4 if it is large.
    larger = max(s, c)
    is_far = sine > tangent * larger
    x = (sine - larger if is_far else sine) / (sine + larger if is_far else larger)
    z = x * x
    sum_ = powers[10]
    sum_ = sum_ * z + powers[9]
    sum_ = sum_ * z + powers[8]
    sum_ = sum_ * z + powers[7]
    sum_ = sum_ * z + powers[6]
    sum_ = sum_ * z + powers[5]
    sum_ = sum_ * z + powers[4]
    sum_ = sum_ * z + powers[3]
    sum_ = sum_ * z + powers[2]
    sum_ = sum_ * z + powers[1]
    sum_ = sum_ * z + powers[0]
    share = (x + x * z * sum_) * (two * inverse_pi)
    share = share + half if is_far else share
    return one - share if s > c else share


@inlined
def _append_bias(s, ray, rays_y, sign):
    """Turn a row of s by the angles of a bias; with sign -1, a row of c."""
    signal, sine, cosine = ray
    for j in range(s.shape[0]):
        turn = sine * rays_y[2, j] - sign * (cosine * rays_y[1, j])
        s[j] = s[j] * (signal * rays_y[0, j]) + (turn + turn) * turn


@inlined
def _pass_layer(s, c, kernel, constants, powers):
    """Multiply a row of the kernel by the share of open gates; s after the ReLU."""
    half, one, _, inverse_pi, _ = constants
    for j in range(s.shape[0]):
        sine = math.sqrt(s[j] * c[j])
        rho = (c[j] - s[j]) * half
        share = _angle_share(sine, s[j], c[j], constants, powers)
        kernel[j] = kernel[j] * (one - share)
        s[j] = max(s[j] - (sine * inverse_pi - share * rho), s[j] * 0)


@inlined
def _leave_layer(s, c, kernel, signal, signals_y, is_all, constants):
    """Add the correlation to the tangent kernel of the layers below, and compute c."""
    _, one, two, _, _ = constants
    for j in range(s.shape[0]):
        if is_all:
            kernel[j] = kernel[j] * (signal * signals_y[j]) + (one - s[j])
        c[j] = two - s[j]


@compiled_arithmetic
def pass_layers(s, c, rays_x, rays_y, scales_x, scales_y, kind, constants, powers):
    """Kernel of a tile, written to s; c is overwritten."""
    half, one = constants[:2]
    is_first, is_all, has_bias = kind
    n_x, n_y = s.shape
    kernel = np.empty(n_y, s.dtype)
    for i in range(n_x):
        # The compiler recognises them as rows only under names of their own.
        s_i, c_i = s[i], c[i]
        for j in range(n_y):
            kernel[j] = (c_i[j] - s_i[j]) * half
        if has_bias:
            _append_bias(s_i, rays_x[0, :, i], rays_y[0], one)
            _append_bias(c_i, rays_x[0, :, i], rays_y[0], -one)
            if not is_first:
                kernel[:] = (c_i - s_i) * half
        for layer in range(1, rays_x.shape[0]):
            ray, others = rays_x[layer, :, i], rays_y[layer]
            _pass_layer(s_i, c_i, kernel, constants, powers)
            if has_bias:
                _append_bias(s_i, ray, others, one)
            _leave_layer(s_i, c_i, kernel, ray[0], others[0], is_all, constants)
        if not is_first and not is_all:
            kernel[:] = (c_i - s_i) * half
        for j in range(n_y):
            s_i[j] = kernel[j] * scales_x[i] * scales_y[j]


def relu_layers(s, c, rays_x, rays_y, scales_x, scales_y, kind, has_bias):
    """Kernel of `sklearn_jlntk._backend.jit.relu_layers`."""
    dtype = s.dtype.type
    constants = tuple(dtype(number) for number in _CONSTANTS)
    powers = tuple(dtype(number) for number in ARC_TANGENT)
    kinds = (kind == "first", kind == "all", has_bias)
    pass_layers(
        s, c, _rays(rays_x), _rays(rays_y), scales_x, scales_y, kinds, constants, powers
    )
    return s


def _rays(rays):  # -> (depth + 1, 3, n)
    """Share of the signal, and sine and cosine of half the angle to the bias."""
    halves = [np.arctan2(b, a) / 2 for a, b in rays]
    return np.stack(
        [
            np.stack([a, np.sin(half), np.cos(half)])
            for (a, _), half in zip(rays, halves, strict=True)
        ]
    )
