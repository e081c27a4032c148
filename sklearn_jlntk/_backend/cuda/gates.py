"""Gates of pre-activations as bits, and back as numbers."""

from sklearn_jlntk._backend.array_api import array_namespace
from sklearn_jlntk._backend.cuda._kernels import Kernels, is_compilable, n_parts

__all__ = ["gate_pass", "has_gate_pass", "open_gates"]

# Threads of a thread block, and fewest neurons of a thread.
_THREADS, _FEWEST_NEURONS = 128, 64


def has_gate_pass(values, signs):
    """Whether `gate_pass` applies to these pre-activations, for one output alone."""
    return is_compilable(values) and signs.shape[1] == 1


def gate_pass(values, signs):
    """Gates of pre-activations as bits, and the outputs of the open ones.

    Parameters
    ----------
    values : array of shape (n_neurons, n_samples)
        Pre-activations p, float32 or float64.
    signs : array of shape (n_neurons, 1)
        Output signs v, scaled or not, of the same dtype.

    Returns
    -------
    gates : uint32 array of shape (n_neurons, ceil(n_samples / 32))
        Bit j of word i is set where p > 0 at sample 32 i + j.
    sums : array of shape (1, n_samples)
        ``v.T @ max(p, 0)``.
    """
    xp, (n_neurons, n) = array_namespace(values), values.shape
    kernels = Kernels.of_gates(values.dtype.itemsize)
    grid = -(-n // _THREADS)
    neurons_a_part, parts = n_parts(grid, n_neurons, fewest=_FEWEST_NEURONS)
    gates = xp.empty((n_neurons, -(-n // 32)), dtype=xp.uint32)
    sums = xp.empty((parts, n), dtype=values.dtype)
    arrays = (xp.ascontiguousarray(values), xp.ascontiguousarray(signs))
    kernels.launch(
        "gate_pass",
        (grid, parts),
        _THREADS,
        *arrays,
        n_neurons,
        n,
        neurons_a_part,
        gates,
        sums,
    )
    return gates, xp.sum(sums, axis=0)[None, :]


def open_gates(gates, n_samples, dtype):
    """Gates of `gate_pass` as numbers 0 and 1.

    Parameters
    ----------
    gates : uint32 array of shape (n_neurons, ceil(n_samples / 32))
        Bits.
    n_samples : int
        Number of samples.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    numbers : array of shape (n_neurons, n_samples)
        Of the dtype.
    """
    xp, n_neurons = array_namespace(gates), gates.shape[0]
    grid = -(-n_samples // _THREADS)
    neurons_a_part, parts = n_parts(grid, n_neurons, fewest=_FEWEST_NEURONS)
    numbers = xp.empty((n_neurons, n_samples), dtype=dtype)
    Kernels.of_gates(numbers.dtype.itemsize).launch(
        "open_gates",
        (grid, parts),
        _THREADS,
        gates,
        n_neurons,
        n_samples,
        neurons_a_part,
        numbers,
    )
    return numbers
