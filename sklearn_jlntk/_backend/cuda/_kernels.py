"""Compile the CUDA sources for one set of constants, and launch their kernels."""

from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.resources import files

import numpy as np

from sklearn_jlntk._backend.array_api import array_namespace, is_cupy_array

__all__ = ["Kernels", "is_compilable", "n_parts"]

# Coordinates of a block that a thread holds, by the bytes of a number. Together with its
# input and output they fill two thirds of the registers that a thread can have.
_HELD = {4: 32, 8: 16}
# Fewest threads that share a block of coordinates, so that their reads are whole sectors of
# memory, and fewest threads of a thread block.
_FEWEST_LANES, _FEWEST_THREADS = 8, 128
# Kinds of kernels between pairs, in the order of the numbers in relu_pairs.cu.
_KINDS = ("arc-sine", "first", "all", "nngp")
# Threads of a thread block where these are more.
_THREADS = {"relu_pairs.cu": 256, "steps.cu": 256}
# Thread blocks that fill any GPU; work is not cut into more parts than needed for these.
_ENOUGH_THREAD_BLOCKS = 2**11


def is_compilable(numbers):
    """Whether this is a CuPy array that is not empty, of a dtype compiled for."""
    return (
        is_cupy_array(numbers)
        and numbers.size > 0
        and numbers.dtype.kind == "f"
        and numbers.dtype.itemsize in (4, 8)
    )


def n_parts(thread_blocks, n_items, *, fewest=1):
    """Cut items into parts so that thread blocks times parts fill a GPU.

    Parameters
    ----------
    thread_blocks : int
        Thread blocks for each part.
    n_items : int
        Number of items.
    fewest : int, default=1
        Fewest items of a part.

    Returns
    -------
    items_a_part, n_parts : int
        They depend on the sizes alone, so that sums over parts are the same on every GPU.
    """
    wanted = max(1, _ENOUGH_THREAD_BLOCKS // thread_blocks)
    items_a_part = max(fewest, -(-n_items // wanted))
    return items_a_part, -(-n_items // items_a_part)


@dataclass(frozen=True)
class Kernels:
    """Functions of a source file compiled with its constants.

    Parameters
    ----------
    source : str
        Name of the file in this folder.
    itemsize : int
        Bytes of a number, 4 or 8.
    length, held : int, default=0
        Coordinates of a block, and those that a thread holds.
    constants : tuple of (str, int or str), default=()
        Further constants of the source, by name.
    """

    source: str
    itemsize: int
    length: int = 0
    held: int = 0
    constants: tuple = ()

    @classmethod
    def of_gates(cls, itemsize):
        """Kernels of gates.cu."""
        return cls("gates.cu", itemsize)

    @classmethod
    def of_blocks(cls, itemsize, length):
        """Kernels of block_hadamard.cu for blocks of a length."""
        held = min(_HELD[itemsize], length // _FEWEST_LANES)
        return cls("block_hadamard.cu", itemsize, length, held)

    @classmethod
    def of_outputs(cls, itemsize, length, n_outputs):
        """Kernels of block_outputs.cu, for blocks of a length and several outputs."""
        blocks = cls.of_blocks(itemsize, length)
        constants = (("OUTPUTS", n_outputs),)
        return replace(blocks, source="block_outputs.cu", constants=constants)

    @classmethod
    def of_pairs(cls, itemsize, kind, *, has_bias):
        """Kernels of relu_pairs.cu for a kind of kernel."""
        constants = (("KIND", _KINDS.index(kind)), ("BIAS", int(has_bias)))
        return cls("relu_pairs.cu", itemsize, constants=constants)

    @classmethod
    def of_steps(cls, itemsize, *, sums, n_outputs=1, n_slices=1):
        """Kernels of steps.cu; `sums` is the C type of partial sums of outputs."""
        constants = (("SUM", sums), ("OUTPUTS", n_outputs), ("SLICES", n_slices))
        return cls("steps.cu", itemsize, constants=constants)

    @property
    def lanes(self):
        """Threads that share a sample."""
        return self.length // self.held if self.length else 1

    @property
    def threads(self):
        """Threads of a block."""
        return max(self.lanes, _THREADS.get(self.source, _FEWEST_THREADS))

    @property
    def warps_a_sample(self):
        """Warps that share a sample."""
        return max(1, self.lanes // 32)

    def thread_blocks(self, n_samples):
        """Thread blocks for all samples."""
        return -(-n_samples * self.lanes // self.threads)

    @property
    def options(self):
        """Options of the compiler."""
        number = {4: "float", 8: "double"}[self.itemsize]
        options = ["-std=c++17", f"-DNUMBER={number}"]
        if self.length:
            options += [f"-DLENGTH={self.length}", f"-DHELD={self.held}"]
        options += [f"-D{name}={value}" for name, value in self.constants]
        return tuple(options)

    def packed(self, signs, n_blocks):
        """Signs as bits of words, in the order that the kernels read."""
        xp = array_namespace(signs)
        signs = xp.ascontiguousarray(xp.reshape(signs, (-1,)))
        words = xp.empty((n_blocks * self.lanes,), dtype=xp.uint32)
        grid = (-(-words.size // _FEWEST_THREADS), 1)
        self.launch(
            "pack_signs", grid, _FEWEST_THREADS, signs, signs.size, words.size, words
        )
        return words

    def launch(self, name, grid, threads, *args):
        """Run a kernel; Python numbers become 64-bit arguments, as all kernels take."""
        self.prepared(name, grid, threads, *args)()

    def prepared(self, name, grid, threads, *args):
        """Function without arguments that launches a kernel, for many times."""
        typed = [
            {int: np.int64, float: np.float64}.get(type(arg), lambda arg: arg)(arg)
            for arg in args
        ]
        function = _compiled(self).get_function(name)
        return partial(function, grid, (threads,), tuple(typed))

    def text(self):
        """Text of the source, after that of the transform where there are blocks."""
        folder = files(__package__)
        names = [*["block_transform.cu"] * bool(self.length), self.source]
        return "\n".join((folder / name).read_text("utf-8") for name in names)


@cache
def _compiled(kernels):
    """CuPy module of the kernels, compiled at the first launch on each GPU."""
    import cupy

    return cupy.RawModule(code=kernels.text(), options=kernels.options)
