"""Random numbers of the operators: independent streams, signs and subsets.

They are drawn with NumPy on the host and moved afterwards, so that a seed gives the same
operator in every namespace and on every device.
"""

import math

import numpy as np
from sklearn.utils import check_random_state

from sklearn_jlntk._backend.array_api import from_host


def random_streams(rng, n_streams):
    """Independent NumPy generators, drawn from a seed, RandomState or Generator."""
    if isinstance(rng, np.random.Generator):
        entropy = rng.integers(2**32, size=4)
    else:
        entropy = check_random_state(rng).randint(2**32, size=4, dtype=np.int64)
    children = np.random.SeedSequence(entropy.tolist()).spawn(n_streams)
    return [np.random.default_rng(child) for child in children]


def random_signs(rng, shape):
    """Array of `shape` of independent fair signs, int8; one random bit for each."""
    size = math.prod(shape)
    bits = np.frombuffer(rng.bytes((size + 7) // 8), dtype=np.uint8)
    signs = np.unpackbits(bits, count=size).view(np.int8)
    signs *= 2
    signs -= 1
    return signs.reshape(shape)


def draw_signs(rng, shape, like):
    """Random signs, int8, in the namespace and on the device of `like`."""
    return from_host(random_signs(rng, shape), like)


def random_positions(rng, n, size):
    """Sorted uniformly random subset of `size` of the first `n` integers, (size,)."""
    if size == n:
        return np.arange(n)
    return np.sort(rng.choice(n, size=size, replace=False))


def random_subsets(rng, n, size, n_subsets):
    """Independent random subsets of the first `n` integers, (n_subsets, size).

    Floyd's algorithm, for all subsets at once: the cost does not depend on `n`.
    """
    subsets = np.empty((n_subsets, size), dtype=np.int64)
    for i, largest in enumerate(range(n - size, n)):
        drawn = rng.integers(largest + 1, size=n_subsets)
        taken = np.any(subsets[:, :i] == drawn[:, None], axis=1)
        subsets[:, i] = np.where(taken, largest, drawn)
    return subsets


def bernoulli_positions(rng, n, probability):
    """Sorted integers below `n`, each present with `probability`, independently.

    The gaps are geometric: the law is exact, and the cost is that of the integers present.
    """
    parts, last = [], -1
    expected = n * probability
    size = int(expected + 4 * expected**0.5) + 1
    while last < n:
        parts.append(last + np.cumsum(rng.geometric(probability, size=size)))
        last = parts[-1][-1]
    positions = np.concatenate(parts)
    return positions[positions < n]
