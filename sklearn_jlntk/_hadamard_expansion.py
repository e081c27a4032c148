"""Which ABC networks are taken through their block Hadamard expansion output by output."""

from sklearn_jlntk.operators import BlockHadamard

__all__ = ["sketch_for_passes"]

# Each output is a pass of its own; with more of them the array path, which mixes them
# before it goes back through the expansion, is the faster one.
_MOST_OUTPUTS = 12


def sketch_for_passes(network):
    """The sketch A^T, None where it is of another kind or outputs are too many."""
    sketch = network.hidden_expansion.T
    if isinstance(sketch, BlockHadamard) and network.n_outputs <= _MOST_OUTPUTS:
        return sketch
    return None
