r"""
Random features of the kernel, beside Nystroem
==============================================

A kernel machine on :math:`n` rows costs :math:`n^2` to :math:`n^3`; features :math:`\phi`
with :math:`\phi(x) \cdot \phi(z) \approx K(x, z)` make it a linear one. The first-layer
tangent kernel has two families of them. Random features are what a network of finite
width has: gates of random neurons times the sketched row,
:math:`\phi(x) = m^{-1/2} [\mathbb 1\{w_r \cdot C x > 0\}\, C x]_r`, or a sketch of this
product, as in Zandieh et al. (2021). Nystroem's are the kernel with some of the rows,
whitened; scikit-learn makes them of any kernel, :class:`~sklearn_jlntk.kernels.NTK` among
them.

This page compares the two: error per feature, error per second, and what a ridge
regression on the features makes of them. Random features lose, and that is why the
package offers none.

Run with ``--full`` for more rows, features and draws.
"""

import sys
import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_diabetes, load_digits, make_friedman1
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler, normalize
from threadpoolctl import threadpool_limits

from sklearn_jlntk import FJLT
from sklearn_jlntk.kernels import NTK, ntk_kernel

full = "--full" in sys.argv
sizes = (64, 256, 1024, 2048) if full else (32, 128, 512)
n_draws = 5 if full else 2

# %%
# The candidates
# --------------
#
# ``"product"``
#     The product itself: :math:`m` gates times :math:`\ell` coordinates of :math:`C x`.
# ``"tensor"``
#     Four gates for each feature, their product with the row sketched by
#     convolution of two CountSketches.
# ``"sign"``
#     The gate is :math:`(1 + \mathrm{sign}) / 2`, and so
#     :math:`K = \tfrac14 x \cdot z + \tfrac14 x \cdot z \,
#     E[\mathrm{sign}(w \cdot x)\, \mathrm{sign}(w \cdot z)]`. The first half is
#     kept exactly, by the row itself; the second takes one random sign times one random
#     projection :math:`g \cdot x` for each feature.
#
# The last is the best that we found: removing the half that needs no chance, and drawing
# a new :math:`g` for each gate instead of using a gate for all coordinates.


class RandomFeatures(TransformerMixin, BaseEstimator):
    """Random features of the first-layer kernel, behind a sketch of the rows."""

    def __init__(self, kind, n_components, random_state=0):
        self.kind = kind
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X, y=None):
        """Draw the sketch and the neurons."""
        rng = np.random.default_rng(self.random_state)
        share = {"product": 8, "tensor": 2, "sign": 2}[self.kind]
        size = min(X.shape[1], self.n_components // share)
        self.sketch_ = None
        if size < X.shape[1]:
            method = "countsketch" if sparse.issparse(X) else "block-hadamard"
            self.sketch_ = FJLT(size, method=method, random_state=self.random_state)
            self.sketch_.fit(X)
        n_rest = self.n_components - size
        n_gates = {
            "product": self.n_components // size,
            "tensor": 4 * n_rest,
            "sign": n_rest,
        }[self.kind]
        self.neurons_ = rng.standard_normal((size, n_gates))
        if self.kind == "sign":
            self.others_ = rng.standard_normal((size, n_gates)) / np.sqrt(4 * n_gates)
        if self.kind == "tensor":
            self.count_sketches_ = [
                sparse.csc_array(
                    (
                        rng.choice([-1.0, 1.0], n),
                        (np.arange(n), rng.integers(n_rest, size=n)),
                    ),
                    shape=(n, n_rest),
                )
                for n in (n_gates, size)
            ]
        return self

    def transform(self, X):
        """Features of rows."""
        Z = X if self.sketch_ is None else self.sketch_.transform(X)
        active = Z @ self.neurons_
        if self.kind == "product":
            gates = (active > 0) / np.sqrt(active.shape[1])
            return (gates[:, :, None] * Z[:, None, :]).reshape(len(Z), -1)
        if self.kind == "sign":
            return np.hstack([Z / 2, np.sign(active) * (Z @ self.others_)])
        signs = np.sign(active) / np.sqrt(4 * active.shape[1])
        factors = zip((signs, Z), self.count_sketches_, strict=True)
        spectra = [np.fft.rfft(factor @ sketch) for factor, sketch in factors]
        n_rest = self.count_sketches_[0].shape[1]
        return np.hstack([Z / 2, np.fft.irfft(np.prod(spectra, axis=0), n=n_rest)])


# %%
# Beside them stands Nystroem on sketched rows, a pipeline.


def sketched_nystroem(n_features, n_components, seed):
    """Nystroem behind a sketch to half of the features, at most 1,024."""
    size, method = n_features // 2, "block-hadamard"
    if size > 1024:  # sparse rows
        size, method = 1024, "countsketch"
    return make_pipeline(
        FJLT(size, method=method, random_state=seed),
        Nystroem(NTK(), n_components=n_components, random_state=seed),
    )


transformers = {
    "Nystroem": lambda d, q, seed: Nystroem(NTK(), n_components=q, random_state=seed),
    "sketch, Nystroem": sketched_nystroem,
    "sign": lambda d, q, seed: RandomFeatures("sign", q, seed),
    "tensor": lambda d, q, seed: RandomFeatures("tensor", q, seed),
    "product": lambda d, q, seed: RandomFeatures("product", q, seed),
}

# %%
# Rows
# ----
#
# Dense rows are standardised and get the constant coordinate of the package's default,
# ``normalize="bias"``. The sparse ones are drawn like texts: few of many words, frequent
# and rare ones, scaled to norm 1; one in ten of them belongs to a topic, which is to be
# told.


def texts(n_samples, n_words, rng):
    """CSR rows of 100 draws from words of frequency 1 / rank, and one of five topics."""
    frequencies = 1 / np.arange(10, n_words + 10)
    words = rng.choice(
        n_words, size=(n_samples, 100), p=frequencies / frequencies.sum()
    )
    topics = rng.integers(5, size=n_samples)
    in_topic = rng.random(words.shape) < 0.1
    words = np.where(in_topic, words // 5 * 5 + topics[:, None], words)
    rows = np.repeat(np.arange(n_samples), 100)
    counts = sparse.csr_array(
        (np.ones(words.size), (rows, words.ravel())), shape=(n_samples, n_words)
    )
    return normalize(counts), topics


n_large = 20000 if full else 2000
problems = {
    "digits": load_digits(return_X_y=True),
    "diabetes": load_diabetes(return_X_y=True),
    "friedman": make_friedman1(n_large, n_features=50, noise=0.1, random_state=0),
    "784 features": make_friedman1(n_large, n_features=784, noise=0.1, random_state=0),
    "texts": texts(n_large, 20000, np.random.default_rng(0)),
}


def prepared(X, y):
    """Training and test rows and targets, as the network would see them."""
    Y = LabelBinarizer(neg_label=-1).fit_transform(y) if y.dtype.kind == "i" else y
    Y = StandardScaler().fit_transform(np.asarray(Y, dtype=float).reshape(len(Y), -1))
    X, X_test, Y, Y_test = train_test_split(X, Y, test_size=0.25, random_state=0)
    if not sparse.issparse(X):
        scaler = StandardScaler().fit(X)
        root = np.sqrt(X.shape[1])
        X, X_test = (
            np.pad(scaler.transform(rows), ((0, 0), (0, 1)), constant_values=root)
            / np.sqrt(2 * X.shape[1])
            for rows in (X, X_test)
        )
    return X, X_test, Y, Y_test


# %%
# What is measured
# ----------------
#
# The error of the kernel matrix of up to 1,000 training rows, in the Frobenius norm
# relative to its own; the seconds that it takes to fit the transformer and to transform
# the training rows; those with the ridge regression on top, whose penalty is chosen by
# leave-one-out; and its error on the test rows, in units of the target's deviation. All
# on one thread, as means over draws, but for the seconds, which are medians.


def measure(transformer, X, X_test, Y, Y_test, K):
    """Kernel error, seconds for features, seconds with the ridge, test error."""
    start = time.perf_counter()
    features = transformer.fit_transform(X)
    made = time.perf_counter()
    ridge = RidgeCV(np.logspace(-6, 2, 9)).fit(features, Y)
    fitted = time.perf_counter()
    few = features[: len(K)]
    kernel_error = np.linalg.norm(few @ few.T - K) / np.linalg.norm(K)
    predicted = ridge.predict(transformer.transform(X_test)).reshape(Y_test.shape)
    test_error = np.sqrt(np.mean((predicted - Y_test) ** 2))
    return kernel_error, made - start, fitted - start, test_error


measured = {}
with threadpool_limits(1, user_api="blas"):
    for problem, (X, y) in problems.items():
        rows = prepared(X, y)
        K = ntk_kernel(rows[0][:1000])
        for name, make in transformers.items():
            for size in sizes:
                if size > rows[0].shape[0]:
                    continue
                draws = np.array(
                    [
                        measure(make(X.shape[1], size, seed), *rows, K)
                        for seed in range(n_draws)
                    ]
                )
                kernel_error, _, _, test_error = draws.mean(axis=0)
                _, made, fitted, _ = np.median(draws, axis=0)
                measured[problem, name, size] = kernel_error, made, fitted, test_error

# %%
# Results
# -------

for problem, (X, _) in problems.items():
    print(f"{problem}, {X.shape[0]} rows of {X.shape[1]} features")
    print(f"{'':>18}{'size':>6}{'error':>9}{'ms':>8}{'+ ridge':>9}{'test':>8}")
    for name in transformers:
        for size in sizes:
            if (problem, name, size) not in measured:
                continue
            error, made, fitted, test = measured[problem, name, size]
            print(
                f"{name:>18}{size:>6}{error:>9.4f}{1e3 * made:>8.1f}"
                f"{1e3 * fitted:>9.1f}{test:>8.3f}"
            )

# %%
# Left: error of the kernel per feature. Middle: the same per second. Right: error of the
# regression per second, ridge included.

plt.style.use("tableau-colorblind10")
figure, grid = plt.subplots(
    len(problems), 3, figsize=(10, 2.6 * len(problems)), layout="constrained"
)
labels = ("features", "seconds for features", "seconds with ridge")
for axes, problem in zip(grid, problems, strict=True):
    for name, marker in zip(transformers, "os^Dv", strict=True):
        done = [size for size in sizes if (problem, name, size) in measured]
        error, made, fitted, test = zip(
            *(measured[problem, name, size] for size in done), strict=True
        )
        curves = ((done, error), (made, error), (fitted, test))
        for ax, (x, y) in zip(axes, curves, strict=True):
            ax.loglog(x, y, marker=marker, label=name)
    for ax, label in zip(axes, labels, strict=True):
        ax.set(xlabel=label, ylabel="error of the kernel")
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_title(problem)
    axes[0].set_xticks(sizes, sizes)
    axes[2].set(ylabel="test error", yscale="linear")
_ = figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=5)

# %%
# What to take
# ------------
#
# Nystroem's features adapt to the rows; random ones carry a noise that falls like the
# inverse root of their number. At equal numbers the kernel error of Nystroem is the
# smallest in every problem above, and so is the test error from 128 features on. The
# best random features are an order of magnitude cheaper to make, but many more are
# needed: per second they draw level, at best, on the kernel of digits and of friedman,
# and stay behind where features are many or sparse. What is then learned from them costs
# the square of their number, and counting it they are ahead nowhere by more than the
# noise of small tables. A sketch in front of Nystroem costs accuracy and hardly saves
# time at these sizes.
#
# So the advice is ``Nystroem(NTK())``, and there is no transformer of random features.
