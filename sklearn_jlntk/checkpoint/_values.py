"""Convert fitted estimators to JSON and arrays, and back.

None, booleans, numbers, strings and lists are written as they are in JSON. Other values
are objects with one entry, whose key is the kind of value. Their classes are those of a
fixed table, and subclasses of them that are imported already. Reading a file imports no
module and calls no function by a name in the file.
"""

import base64

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.metadata_routing import MetadataRequest

from sklearn_jlntk import operators
from sklearn_jlntk._backend.array_api import from_kept, is_array, to_kept
from sklearn_jlntk._validation import RowScaling, TargetScaling
from sklearn_jlntk.dask import (
    DaskJLFactorizedNTKClassifier,
    DaskJLFactorizedNTKRegressor,
)
from sklearn_jlntk.neural_network import (
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
)
from sklearn_jlntk.neural_network._training import Progress

_ESTIMATORS = (
    DaskJLFactorizedNTKClassifier,
    DaskJLFactorizedNTKRegressor,
    JLFactorizedNTKClassifier,
    JLFactorizedNTKRegressor,
    LabelBinarizer,
)
_OPERATORS = tuple(
    value
    for value in vars(operators).values()
    if isinstance(value, type) and issubclass(value, operators.Operator)
)
_NAMED_TUPLES = (Progress, RowScaling, TargetScaling)
_CLASSES = {c.__name__: c for c in (*_ESTIMATORS, *_OPERATORS, *_NAMED_TUPLES)}
_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


class Writer:
    """Convert values to JSON, and collect their arrays.

    Attributes
    ----------
    arrays : list of ndarray
        Arrays, at the indices by which the JSON refers to them.
    """

    def __init__(self):
        self.arrays = []
        self._numbers = {}
        self._kept = []

    def write(self, value):
        """JSON of a value; TypeError names types that cannot be saved."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.write(item) for item in value]
        for kind, (belongs, write, _) in _KINDS.items():
            if belongs(value):
                return {kind: write(self, value)}
        raise TypeError(f"a {type(value).__name__}")

    def number_of(self, array):
        """Index of an array, with its library and device; equal for the same array."""
        if id(array) not in self._numbers:
            values, *place = to_kept(array)
            self._numbers[id(array)] = [len(self.arrays), *place]
            self.arrays.append(values)
            self._kept.append(array)  # alive, so that no other array gets its id
        return self._numbers[id(array)]


class Reader:
    """Convert JSON and arrays back to values.

    Parameters
    ----------
    read_array : callable
        Returns the NumPy array at an index.
    """

    def __init__(self, read_array):
        self._read_array = read_array
        self._arrays = {}

    def read(self, value):
        """Value of JSON; ValueError if `Writer` never writes such JSON."""
        if isinstance(value, list):
            return [self.read(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) != 1 or not set(value) <= set(_KINDS):
            raise ValueError(f"no value is written as {sorted(value)}")
        ((kind, written),) = value.items()
        _, _, read = _KINDS[kind]
        return read(self, written)

    def array(self, place):
        """Array at an index, in a library and on a device; read once and then shared."""
        place = tuple(place)
        if place not in self._arrays:
            number, library, device = place
            self._arrays[place] = from_kept(self._read_array(number), library, device)
        return self._arrays[place]


def _is_stored(value):
    """Whether a value is an array that NumPy's format stores without pickles."""
    if type(value) not in (np.ndarray, np.memmap):
        return not isinstance(value, np.generic) and is_array(value)
    return not value.dtype.hasobject and value.dtype.kind not in "TV"


def _is_of_objects(value):
    """Whether a value is an array of Python objects or strings."""
    return type(value) is np.ndarray and value.dtype.kind in "OT"


def _write_objects(writer, array):
    return array.dtype.kind, list(array.shape), writer.write(array.ravel().tolist())


def _read_objects(reader, written):
    kind, shape, items = written
    dtype = np.dtypes.StringDType() if kind == "T" else object
    array = np.empty(len(items), dtype=dtype)
    for i, item in enumerate(reader.read(items)):
        array[i] = item
    return array.reshape(shape)


def _write_scalar(writer, scalar):
    if scalar.dtype.hasobject or scalar.dtype.kind == "V":
        raise TypeError(f"a number of dtype {scalar.dtype}")
    return scalar.dtype.str, base64.b64encode(scalar.tobytes()).decode("ascii")


def _read_scalar(reader, written):
    dtype, data = written
    (scalar,) = np.frombuffer(base64.b64decode(data), dtype=dtype)
    return scalar


def _write_random_state(writer, random_state):
    return writer.write(random_state.get_state(legacy=False))


def _read_random_state(reader, written):
    state = reader.read(written)
    if state["bit_generator"] not in _BIT_GENERATORS:
        raise ValueError(f"there is no bit generator {state['bit_generator']!r}")
    bit_generator = getattr(np.random, state["bit_generator"])()
    random_state = np.random.RandomState(bit_generator)
    random_state.set_state(state)
    return random_state


def _write_requests(writer, requests):
    """Requests of scikit-learn's metadata routing, by method."""
    found = {
        name: getattr(part, "requests", None) for name, part in vars(requests).items()
    }
    return writer.write({name: dict(part) for name, part in found.items() if part})


def _read_requests(reader, written):
    requests = MetadataRequest(owner="checkpoint")
    for name, part in reader.read(written).items():
        for param, alias in part.items():
            vars(requests)[name].add_request(param=param, alias=alias)
    return requests


def _write_dict(writer, value):
    """Pairs of keys and values; errors name the key."""
    pairs = []
    for key, item in value.items():
        try:
            pairs.append([writer.write(key), writer.write(item)])
        except TypeError as error:
            raise TypeError(f"{error} in {key!r}") from error
    return pairs


def _write_object(writer, value):
    """Class and state of an estimator or an operator."""
    return _name_of(type(value)), writer.write(value.__getstate__())


def _read_object(reader, written):
    name, state = written
    cls, state = _class_of(name), reader.read(state)
    if issubclass(cls, operators.Operator):
        value = cls.__new__(cls)
    else:
        value = cls()
        state = {name: part for name, part in state.items() if "callback" not in name}
    value.__setstate__(state)
    return value


def _name_of(cls):
    """Name of a class of the table, or full name of a subclass."""
    if _CLASSES.get(cls.__name__) is cls:
        return cls.__name__
    return f"{cls.__module__}.{cls.__qualname__}"


def _class_of(name):
    """Class of the table with this name, or an imported subclass with this full name."""
    if name in _CLASSES:
        return _CLASSES[name]
    derived = list(_CLASSES.values())
    for cls in derived:
        derived += cls.__subclasses__()
        if f"{cls.__module__}.{cls.__qualname__}" == name:
            return cls
    raise ValueError(
        f"{name!r} is no class of this package; one that is derived from them has to be "
        "imported before it is loaded"
    )


def _write_named(writer, value):
    return type(value).__name__, writer.write(list(value))


def _read_named(reader, written):
    name, items = written
    cls = _class_of(name)
    if cls not in _NAMED_TUPLES:
        raise ValueError(f"{name!r} is no tuple of this package")
    return cls(*reader.read(items))


# Test, writer and reader for each kind of value; the first kind whose test is true is used.
_KINDS = {
    "array": (
        _is_stored,
        lambda writer, array: writer.number_of(array),
        lambda reader, place: reader.array(place),
    ),
    "objects": (_is_of_objects, _write_objects, _read_objects),
    "scalar": (lambda v: isinstance(v, np.generic), _write_scalar, _read_scalar),
    "named": (lambda v: type(v) in _NAMED_TUPLES, _write_named, _read_named),
    "tuple": (
        lambda value: type(value) is tuple,
        lambda writer, value: writer.write(list(value)),
        lambda reader, written: tuple(reader.read(written)),
    ),
    "dict": (
        lambda value: type(value) is dict,
        _write_dict,
        lambda reader, written: dict(reader.read(written)),
    ),
    "object": (
        lambda value: isinstance(value, (*_ESTIMATORS, *_OPERATORS)),
        _write_object,
        _read_object,
    ),
    "random state": (
        lambda value: type(value) is np.random.RandomState,
        _write_random_state,
        _read_random_state,
    ),
    "requests": (
        lambda value: type(value) is MetadataRequest,
        _write_requests,
        _read_requests,
    ),
}
