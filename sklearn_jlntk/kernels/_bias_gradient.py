r"""Derivative of the kernels of ReLU networks in the logarithm of the bias.

This is the recursion of :mod:`sklearn_jlntk.kernels._relu`, differentiated step by step.
The derivative of an angle is :math:`-\dot\rho / \sin\theta`, where both are small for
nearly parallel pairs; :math:`\dot s` is therefore computed without cancellation, as s is.
"""

import math
from dataclasses import dataclass

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk.kernels._relu import ReluKernel, one_minus_and_plus_cosine

__all__ = ["BiasGradient"]


@dataclass(frozen=True)
class BiasGradient:
    r"""Derivative :math:`\beta\, \partial K / \partial \beta` of a `ReluKernel`.

    Parameters
    ----------
    kernel : ReluKernel
        Kernel to differentiate.
    """

    kernel: ReluKernel

    def tile(self, x, y, n_pairs=None):  # -> (n_x, n_y)
        """Derivative of all pairs of two `Columns`; `n_pairs` is ignored."""
        rays_x, rays_y = self._rays(x), self._rays(y)
        s, c = one_minus_and_plus_cosine(x, y)
        if self.kernel.kind == "first":
            unit, slope = self._first(s, c, rays_x, rays_y)
        else:
            unit, slope = self._readout(s, c, rays_x, rays_y)
            growth = rays_x[-1].growth[:, None] + rays_y[-1].growth[None, :]
            slope = slope + growth * unit
        return slope * self.kernel.scales(x)[:, None] * self.kernel.scales(y)[None, :]

    def diagonal(self, x):  # -> (n,)
        """Derivative of the kernel of each column with itself."""
        kernel = self.kernel
        square = x.norms * x.norms
        if kernel.kind == "first":
            return square * 0
        # The derivative of bias^2 in log(bias) is 2 bias^2, at every layer.
        square_slope = tangent_slope = square * 0 + 2 * kernel.bias**2
        for _ in range(kernel.depth):
            square_slope = square_slope / 2 + 2 * kernel.bias**2
            tangent_slope = square_slope + tangent_slope / 2
        return square_slope if kernel.kind == "nngp" else tangent_slope

    def root(self, norm):
        """That of the kernel, of which the derivative is a share."""
        return self.kernel.root(norm)

    def _first(self, s, c, rays_x, rays_y):
        """Inner products of the inputs times the shares of open gates; the derivative."""
        unit, slope = (c - s) / 2, 0.0
        for _, gates, _ in self._layers(s, c, rays_x[:-1], rays_y[:-1]):
            unit, slope = _times(unit, slope, *gates)
        return unit, slope

    def _readout(self, s, c, rays_x, rays_y):
        """Correlation or tangent kernel at the readout, and the derivative."""
        layers = self._layers(s, c, rays_x, rays_y)
        (unit, slope), gates, _ = next(layers)
        for rho, next_gates, shares in layers:
            if self.kernel.kind == "all":
                passed = _times(*_times(unit, slope, *gates), *shares)
                unit, slope = rho[0] + passed[0], rho[1] + passed[1]
            else:
                unit, slope = rho
            gates = next_gates
        return unit, slope

    def _layers(self, s, c, rays_x, rays_y):
        """Correlation, share of open gates and of signal at each layer; derivatives."""
        xp = array_namespace(s)
        slope = 0.0
        for u, v in zip(rays_x, rays_y, strict=True):
            a, a_slope = _times(
                u.a[:, None], u.a_slope[:, None], v.a[None, :], v.a_slope[None, :]
            )
            da, db = u.a[:, None] - v.a[None, :], u.b[:, None] - v.b[None, :]
            slope = (
                a_slope * s
                + a * slope
                + da * (u.a_slope[:, None] - v.a_slope[None, :])
                + db * (u.b_slope[:, None] - v.b_slope[None, :])
            )
            both = u.b[:, None] + v.b[None, :]
            s, c = a * s + (da**2 + db**2) / 2, a * c + (da**2 + both**2) / 2
            sine = xp.sqrt(s * c)
            theta = 2 * xp.atan2(xp.sqrt(s), xp.sqrt(c))
            # Parallel pairs are parallel for any bias.
            theta_slope = xp.where(sine > 0, slope / xp.where(sine > 0, sine, 1.0), 0.0)
            rho, open_at_both = (c - s) / 2, 1 - theta / math.pi
            gates = open_at_both, -theta_slope / math.pi
            yield (rho, -slope), gates, (a, a_slope)
            s = xp.clip(s - (sine - theta * rho) / math.pi, min=0.0)
            c, slope = 2 - s, open_at_both * slope

    def _rays(self, x):
        """`_Ray` of each layer."""
        growth, rays = 0.0, []
        for a, b in self.kernel.rays(x):
            growth_below, growth = growth, a * a * growth + b * b
            rays.append(
                _Ray(a, b, a * (growth_below - growth), b * (1 - growth), growth)
            )
        return rays


@dataclass(frozen=True)
class _Ray:
    """Shares of signal and bias in a norm, their derivatives, and that of its log.

    Each is an array of shape (n,).
    """

    a: object
    b: object
    a_slope: object
    b_slope: object
    growth: object


def _times(f, f_slope, g, g_slope):
    """Product and its derivative."""
    return f * g, f_slope * g + f * g_slope
