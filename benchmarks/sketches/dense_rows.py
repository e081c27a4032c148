"""`FJLT` beside scikit-learn's random projections and other fast transforms of rows.

Times are those of `transform`; of `fit`, on one row, ours and the Gaussian's. The other
transforms are sketches by a subsampled cosine transform under signs (`scipy.fft.dct`) and
by a subsampled Hadamard transform of rows filled up to a power of two (`fht-cpu`). Times
of the others are ratios to ours, medians of turns in one process. The floor is a copy of
the rows.
"""

import numpy as np
from scipy import fft
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from benchmarks.harness.run import ratios, table
from benchmarks.harness.turns import calls_that_run, medians
from sklearn_jlntk import FJLT

# Dtype, rows, coordinates, components.
SIZES = [(2048, 4096, 256), (512, 20000, 1024), (256, 65536, 1024)]
PARTS = {
    "sketches": [(dtype, *sizes) for dtype in ("float32", "float64") for sizes in SIZES]
}


def projection(cls):
    """Maker of a fitted projection's transform."""
    return lambda problem: _transform(cls, *problem)


def _transform(cls, X, l):
    fitted = cls(l, random_state=0).fit(X)
    return lambda: fitted.transform(X)


def subsampled_cosines(problem):
    """Some coordinates of a cosine transform of rows under signs."""
    X, l = problem
    d = X.shape[1]
    signs, kept = _signs_and_positions(X.dtype, d, d, l)
    scale = X.dtype.type((d / l) ** 0.5)
    return lambda: fft.dct(X * signs, axis=1, norm="ortho")[:, kept] * scale


def subsampled_hadamard(problem):
    """Some coordinates of a Hadamard transform by fht-cpu of rows under signs."""
    from fht_cpu import fht

    X, l = problem
    n, d = X.shape
    length = 1 << (d - 1).bit_length()
    signs, kept = _signs_and_positions(X.dtype, d, length, l)
    scale = X.dtype.type(l**-0.5)

    def transform():
        padded = np.zeros((n, length), X.dtype)
        np.multiply(X, signs, out=padded[:, :d])
        fht(padded, axis=1)
        return padded[:, kept] * scale

    return transform


def _signs_and_positions(dtype, d, length, l):
    rng = np.random.default_rng(0)
    signs = rng.choice(np.array([-1, 1], dtype), size=d)
    return signs, np.sort(rng.choice(length, l, replace=False))


CONTENDERS = {
    "FJLT": projection(FJLT),
    "Gaussian": projection(GaussianRandomProjection),
    "Sparse": projection(SparseRandomProjection),
    "scipy.fft.dct": subsampled_cosines,
    "fht-cpu": subsampled_hadamard,
    "copy": lambda problem: problem[0].copy,
}


def run(options):
    """Rows of the table."""
    for dtype, n, d, l in options.cases:
        X = np.random.default_rng(0).standard_normal((n, d), dtype=dtype)
        calls = calls_that_run(CONTENDERS, (X, l))
        check_norms(calls, X)
        seconds = medians(calls, options.rounds)
        fits = {
            cls.__name__: lambda cls=cls, x=X[:1], l=l: cls(l, random_state=0).fit(x)
            for cls in (FJLT, GaussianRandomProjection)
        }
        row = {"dtype": dtype, "n": n, "d": d, "l": l, "seconds": seconds}
        yield {**row, "fit": medians(fits, options.rounds)}


def check_norms(calls, X):
    """Raise unless all images have the rows' norms, to a quarter at the median."""
    norms = np.linalg.norm(X, axis=1)
    for name, call in calls.items():
        ratio = np.median(np.linalg.norm(call(), axis=1) / norms)
        if abs(ratio - 1) > 0.25:
            raise ArithmeticError(f"{name} scales norms by {ratio:.2f}.")


def markdown(rows):
    """The rows as a table, milliseconds of ours and ratios to it."""
    others = [name for name in CONTENDERS if name != "FJLT"]
    lines = []
    for row in rows:
        fits = [row["fit"][name] for name in ("FJLT", "GaussianRandomProjection")]
        lines.append(
            [
                row["dtype"],
                f"{row['n']} {row['d']} {row['l']}",
                " / ".join(f"{seconds * 1e3:.2f}" for seconds in fits),
                f"{row['seconds']['FJLT'] * 1e3:.1f}",
                *ratios(row["seconds"], "FJLT", others),
            ]
        )
    names = ["dtype", "n d l", "fit, FJLT / Gaussian, ms", "FJLT, ms"]
    return table([*names, *others], lines)
