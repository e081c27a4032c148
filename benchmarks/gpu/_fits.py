"""Whole fits from NumPy arrays to NumPy arrays, on the card and on the CPU."""

import time

import numpy as np

from sklearn_jlntk import JLFactorizedNTKRegressor, NTKKernel, NystroemNTKKernel

__all__ = ["Fit"]


class Fit:
    """A whole fit; of ``"lambda_0"`` the smallest eigenvalue on the rows after one."""

    CPU = "CPU"
    columns = ("what", "dtype", "n", "d", "m", "steps")
    late = (CPU,)

    def __init__(self, device, what, dtype, n, d, m, steps):
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((n, d)).astype(dtype)
        self.y = np.sin(self.X[:, 0]) + self.X[:, 1] * self.X[:, 2]
        self.what, self.m, self.steps = what, m, steps

    def on_the_card(self, is_dry):
        """Seconds and score; in a dry run on the CPU."""
        return self._measured(None if is_dry else "cuda")

    def on_the_cpu(self):
        """The same on the CPU."""
        return self._measured(None)

    def _measured(self, place):
        X, y = self.X, self.y
        if self.what == "lambda_0":
            model = JLFactorizedNTKRegressor(width=256, max_iter=1, tol=None)
            model.set_params(device=place, random_state=0).fit(X, y)
            model.lambda_0(X)
            return _seconds(lambda: model.lambda_0(X))
        model = self._model().set_params(device=place)
        # At full size, for sizes decide what is compiled.
        if self.steps is not None:
            model.set_params(max_iter=1)
        if place is not None or self.steps is not None:
            model.fit(X, y)
        if self.steps is not None:
            model.set_params(max_iter=self.steps)
        seconds, _ = _seconds(lambda: model.fit(X, y))
        return seconds, float(model.score(X[:2000], y[:2000]))

    def _model(self):
        if self.what == "NystroemNTKKernel":
            return NystroemNTKKernel(n_centers=self.m, alpha=1e-3, random_state=0)
        if self.what.startswith("NTKKernel"):
            return NTKKernel(alpha="loo" if "," in self.what else 1e-3)
        return JLFactorizedNTKRegressor(
            factorization=self.what, width=self.m, tol=None, random_state=0
        )


def _seconds(call):
    """Seconds of a call and what it returns, on the clock: the result is on the host."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result
