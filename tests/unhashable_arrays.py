"""Array namespace whose arrays, devices and dtypes cannot be hashed, as CuPy's cannot.

It is array-api-strict in another dress: a device or a dtype that is used as a key of a
cache, of a dict or as the member of a set is a TypeError here, as it is on a card.
"""

import operator
import sys

import array_api_strict as strict
import numpy as np

__array_api_version__ = strict.__array_api_version__


class _Dressed:
    """Wrapped object of array-api-strict, with equality and without a hash."""

    __hash__ = None

    def __init__(self, bare):
        self.bare = bare

    def __eq__(self, other):
        return self.bare == other.bare if type(other) is type(self) else NotImplemented

    def __repr__(self):
        return repr(self.bare)

    def __str__(self):
        return str(self.bare)


class DType(_Dressed):
    """Dtype."""


class Device(_Dressed):
    """Device, by its name or as array-api-strict has it."""

    def __init__(self, bare):
        super().__init__(strict.Device(bare) if isinstance(bare, str) else bare)


class Array(_Dressed):
    """Array."""

    def __array_namespace__(self, *, api_version=None):
        return sys.modules[__name__]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.bare, dtype=dtype, copy=copy)

    def __getattr__(self, name):
        if name.startswith("_") or name == "bare":
            raise AttributeError(name)
        value = getattr(self.bare, name)
        return _dressed_function(value) if callable(value) else dressed(value)

    def __getitem__(self, key):
        return dressed(self.bare[bare(key)])

    def __setitem__(self, key, value):
        self.bare[bare(key)] = bare(value)

    def __bool__(self):
        return bool(self.bare)

    def __int__(self):
        return int(self.bare)

    def __float__(self):
        return float(self.bare)

    def __index__(self):
        return operator.index(self.bare)


def _binary(function):
    def method(self, other):
        return dressed(function(self.bare, bare(other)))

    return method


def _reflected(function):
    def method(self, other):
        return dressed(function(bare(other), self.bare))

    return method


def _in_place(function):
    def method(self, other):
        self.bare = function(self.bare, bare(other))
        return self

    return method


def _unary(function):
    return lambda self: dressed(function(self.bare))


for _name in (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
):
    _function = getattr(operator, f"__{_name}__")
    setattr(Array, f"__{_name}__", _binary(_function))
    setattr(Array, f"__r{_name}__", _reflected(_function))
    setattr(Array, f"__i{_name}__", _in_place(getattr(operator, f"__i{_name}__")))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Array, f"__{_name}__", _binary(getattr(operator, _name)))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(Array, f"__{_name}__", _unary(getattr(operator, f"__{_name}__")))
Array.__hash__ = None

_DRESSES = {
    type(strict.asarray(1.0)): Array,
    type(strict.float32): DType,
    type(strict.Device("CPU_DEVICE")): Device,
}


def dressed(value):
    """Wrap a result of array-api-strict for this namespace."""
    if isinstance(value, list | tuple):
        items = [dressed(item) for item in value]
        is_named = hasattr(value, "_fields")
        return type(value)(*items) if is_named else type(value)(items)
    if isinstance(value, dict):
        return {name: dressed(item) for name, item in value.items()}
    dress = _DRESSES.get(type(value))
    return value if dress is None else dress(value)


def bare(value):
    """Unwrap an object of this namespace for array-api-strict."""
    if isinstance(value, list | tuple):
        return type(value)(bare(item) for item in value)
    return value.bare if isinstance(value, _Dressed) else value


def _dressed_function(function):
    def call(*args, **kwargs):
        kwargs = {name: bare(value) for name, value in kwargs.items()}
        return dressed(function(*bare(args), **kwargs))

    return call


class _Functions:
    """Wrapped functions of a part of array-api-strict, such as `linalg`."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return _dressed_function(getattr(self._module, name))


linalg, fft = _Functions(strict.linalg), _Functions(strict.fft)


def __array_namespace_info__():
    return _Functions(strict.__array_namespace_info__())


def __getattr__(name):
    value = getattr(strict, name)
    return _dressed_function(value) if callable(value) else dressed(value)
