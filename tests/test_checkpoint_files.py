"""Files of checkpoints: contents, forged files, permissions, killed saves."""

import errno
import hashlib
import io
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from assertions import assert_same
from sklearn import config_context
from sklearn.preprocessing import LabelBinarizer

from sklearn_jlntk import JLFactorizedNTKClassifier, JLFactorizedNTKRegressor
from sklearn_jlntk._backend.array_api import device, is_array
from sklearn_jlntk.checkpoint import Checkpoint, _replacing, load_checkpoint
from sklearn_jlntk.checkpoint._file import save_checkpoint
from sklearn_jlntk.checkpoint._values import _CLASSES
from sklearn_jlntk.operators import SKETCHES, Operator
from sklearn_jlntk.out_of_core import RowChunks

X = np.random.default_rng(0).normal(size=(60, 9))
Y = np.sin(X[:, 0])
THIRDS = np.digitize(Y, [-0.4, 0.4])
PARAMS = {"width": 64, "max_iter": 12, "tol": None, "random_state": 0}


def regressor(**params):
    """A small regressor."""
    return JLFactorizedNTKRegressor(**PARAMS | params)


def classifier(**params):
    """A small classifier."""
    return JLFactorizedNTKClassifier(**PARAMS | params)


class Stop(Checkpoint):
    """Callback that interrupts after a number of steps."""

    def __init__(self, after):
        self.after = after

    def on_fit_task_end(self, estimator, context):
        """Raise the interrupt if its step is reached."""
        if context.task_name == "step" and context.task_id + 1 == self.after:
            raise KeyboardInterrupt


# ---------------------------------------------------------------- what they hold


def unfolded(value):
    """Parts of a value that can be compared, for types without equality."""
    if isinstance(value, Operator):
        return value.__getstate__()
    if isinstance(value, np.random.RandomState):
        return value.get_state(legacy=False)
    if isinstance(value, LabelBinarizer):
        return vars(value)
    return value


def assert_alike(actual, desired):
    """Assert equal values, types, dtypes, devices and memory orders, recursively."""
    assert type(actual) is type(desired)
    actual, desired = unfolded(actual), unfolded(desired)
    if isinstance(desired, dict):
        assert actual.keys() == desired.keys()
        actual, desired = ([d[name] for name in desired] for d in (actual, desired))
    if isinstance(desired, list | tuple):
        for pair in zip(actual, desired, strict=True):
            assert_alike(*pair)
    elif is_array(desired):
        assert device(actual) == device(desired)
        assert actual.dtype == desired.dtype
        assert_same(actual, desired)
        if isinstance(desired, np.ndarray):
            assert actual.flags.f_contiguous == desired.flags.f_contiguous
            assert actual.flags.writeable
    else:
        assert actual == desired


def attributes(model):
    """Parameters and attributes of a model, without its callbacks."""
    return {k: v for k, v in vars(model).items() if "callback" not in k}


def check_round_trip(model, rows, y, path, **params):
    """Interrupt a fit, load its checkpoint, finish the fit, and compare bitwise."""
    model.set_callbacks(Checkpoint(path, every=3), Stop(7))
    with pytest.raises(KeyboardInterrupt):
        model.fit(rows, y, **params)
    loaded = load_checkpoint(path)
    assert loaded.n_iter_ == 6
    save_checkpoint(path.with_name("again"), loaded)
    assert_alike(
        attributes(load_checkpoint(path.with_name("again"))), attributes(loaded)
    )
    save_checkpoint(path.with_name("seventh"), model.set_callbacks())
    seventh = load_checkpoint(path.with_name("seventh")).set_params(warm_start=False)
    # Callbacks are not saved.
    assert_alike(attributes(seventh), attributes(model))
    assert_same(seventh.predict(rows), model.predict(rows))
    whole = type(model)(**model.get_params())
    return loaded.fit(rows, y, **params), whole.fit(rows, y, **params)


def assert_finished(resumed, whole):
    """Assert that the resumed fit is bitwise equal to the uninterrupted one."""
    for name in ("weights_", "initial_weights_", "output_signs_", "intercept_"):
        assert_alike(getattr(resumed, name), getattr(whole, name))
    assert resumed.loss_curve_ == whole.loss_curve_
    assert resumed.n_iter_ == whole.n_iter_ == PARAMS["max_iter"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True, "tol": 1e-12, "n_iter_no_change": 20},
        {"factorization": "dense", "normalize": "unit", "alpha": np.float64(0.1)},
        {"factorization": "abc", "effective_width": np.int64(32), "width": 100},
        {"initial_output": "random", "learning_rate": 0.01, "fit_intercept": False},
        {"device": "cpu"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["one", "several", "labels", "binary", "chunks"])
@pytest.mark.filterwarnings("ignore:Stopped after")
def test_loaded_model_is_bitwise_equal_and_resumes(kind, params, tmp_path):
    make = classifier if kind in ("labels", "binary") else regressor
    y = {
        "several": np.stack([Y, Y**2], axis=1),
        "labels": np.array(["low", "mid", "high"])[THIRDS],
        "binary": Y > 0,
    }.get(kind, Y)
    rows = RowChunks(X, chunk_rows=25) if kind == "chunks" else X
    assert_finished(*check_round_trip(make(**params), rows, y, tmp_path / "network"))


@pytest.mark.parametrize("name", SKETCHES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_sketch_is_restored(name, dtype, tmp_path):
    model = regressor(
        factorization="abc",
        width=100,
        effective_width=100 if name == "identity" else 32,
        n_components=10 if name == "identity" else 4,
        input_sketch=name,
        width_sketch=name,
    )
    resumed, whole = check_round_trip(model, X.astype(dtype), Y, tmp_path / "network")
    assert_finished(resumed, whole)


LABELS = {
    "text": np.array(["low", "mid", "high"]),
    "objects": np.array(["low", "mid", "high"], dtype=object),
    "integers": np.array([3, 1, 2], dtype=np.int16),
    "booleans": np.array([False, True, True]),
    "floats": np.array([1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_of_every_kind_are_restored(labels, tmp_path):
    assert_finished(*check_round_trip(classifier(), X, labels[THIRDS], tmp_path / "n"))


def test_feature_names_are_restored(tmp_path):
    frame = pd.DataFrame(X, columns=[f"größe {i}" for i in range(9)])
    assert_finished(*check_round_trip(regressor(), frame, Y, tmp_path / "network"))
    loaded = load_checkpoint(tmp_path / "network")
    assert loaded.feature_names_in_[1] == "größe 1"
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame.rename(columns={"größe 1": "a"}))


BIT_GENERATORS = ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"]


@pytest.mark.parametrize("name", BIT_GENERATORS)
def test_random_states_are_restored(name, tmp_path):
    random_state = np.random.RandomState(getattr(np.random, name)(7))
    random_state.normal(size=3)  # an odd number of them leaves one over
    model = regressor(random_state=random_state).fit(X, Y)
    save_checkpoint(tmp_path / "network", model)
    loaded = load_checkpoint(tmp_path / "network").random_state
    assert_alike(loaded, random_state)
    assert_same(loaded.normal(size=5), random_state.normal(size=5))


def test_metadata_requests_are_restored(tmp_path):
    with config_context(enable_metadata_routing=True):
        model = regressor().set_fit_request(sample_weight=True).fit(X, Y)
    save_checkpoint(tmp_path / "network", model)
    loaded = load_checkpoint(tmp_path / "network")
    requests = loaded.get_metadata_routing().fit.requests
    assert requests == {"sample_weight": True}


@pytest.mark.parametrize("make", [regressor, classifier])
def test_arrays_are_restored_in_their_library(make, xp, dtype, tmp_path):
    if xp.__name__ == "unhashable_arrays":
        pytest.skip("a stand-in, of which no file knows")
    with config_context(array_api_dispatch=True):
        rows = xp.asarray(X, dtype=dtype)
        y = xp.asarray(THIRDS if make is classifier else Y)
        resumed, whole = check_round_trip(make(), rows, y, tmp_path / "network")
    assert_finished(resumed, whole)
    assert type(resumed.weights_) is type(rows)


def test_device_of_an_array_is_restored(tmp_path):
    strict = pytest.importorskip("array_api_strict")
    there = strict.Device("device1")
    with config_context(array_api_dispatch=True):
        rows, y = (strict.asarray(a, device=there) for a in (X, Y))
        resumed, whole = check_round_trip(regressor(), rows, y, tmp_path / "network")
    assert resumed.weights_.device == there
    assert_finished(resumed, whole)


def test_error_for_arrays_of_unsupported_libraries(tmp_path):
    import unhashable_arrays as other

    with config_context(array_api_dispatch=True):
        model = regressor().fit(other.asarray(X), other.asarray(Y))
    with pytest.raises(
        TypeError, match="of unhashable_arrays cannot be kept in a file"
    ):
        save_checkpoint(tmp_path / "network", model)
    assert list(tmp_path.iterdir()) == []


def test_error_for_arrays_of_a_missing_library(tmp_path, monkeypatch):
    strict = pytest.importorskip("array_api_strict")
    with config_context(array_api_dispatch=True):
        model = regressor().fit(strict.asarray(X), strict.asarray(Y))
    save_checkpoint(tmp_path / "network", model)
    monkeypatch.setitem(sys.modules, "array_api_strict", None)
    with pytest.raises(
        ImportError, match="of array_api_strict, which is not installed"
    ):
        load_checkpoint(tmp_path / "network")


class Derived(JLFactorizedNTKRegressor):
    """User-defined subclass of a regressor."""


def test_user_subclasses_are_restored(tmp_path):
    params = regressor().get_params()
    resumed, whole = check_round_trip(Derived(**params), X, Y, tmp_path / "network")
    assert type(resumed) is Derived
    assert_finished(resumed, whole)


def test_error_for_unsupported_attribute_names_it(tmp_path):
    model = regressor()
    model.note = {"inner": [threading.Lock()]}
    model.set_callbacks(Checkpoint(tmp_path / "network", every=2))
    words = "cannot hold a lock in 'inner' in 'note' of this JLFactorizedNTKRegressor"
    with pytest.raises(TypeError, match=words):
        model.fit(X, Y)
    assert list(tmp_path.iterdir()) == []


def test_every_estimator_with_callbacks_is_in_the_table():
    from sklearn.callback import CallbackSupportMixin

    found = [CallbackSupportMixin]
    for cls in found:
        found += cls.__subclasses__()
    ours = {
        cls.__name__
        for cls in found
        if cls.__module__.startswith("sklearn_jlntk.") and not cls.__subclasses__()
    }
    ours |= {"JLFactorizedNTKRegressor"}  # derived from above
    assert len(ours) >= 4
    assert ours <= set(_CLASSES)


def test_files_are_plain_zip_files(tmp_path):
    model = regressor().fit(X, Y)
    save_checkpoint(tmp_path / "network", model)
    with zipfile.ZipFile(tmp_path / "network") as archive:
        names = archive.namelist()
        assert names[0] == "checkpoint.json"
        arrays = [np.load(io.BytesIO(archive.read(name))) for name in names[1:]]
    assert any(np.array_equal(model.weights_, array) for array in arrays)
    # Each array is written once, also if several attributes share it.
    assert len({array.tobytes() for array in arrays if array.size > 8}) == sum(
        array.size > 8 for array in arrays
    )


# ---------------------------------------------------------------- forged files


class Evil:
    """Object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@contextmanager
def forged(path, model="kept", arrays=None, compression=zipfile.ZIP_STORED, **header):
    """A valid checkpoint with exchanged text or arrays."""
    save_checkpoint(path, regressor().fit(X, Y))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = json.loads(parts["checkpoint.json"]) | header
    if model != "kept":
        text["model"] = model(text["model"]) if callable(model) else model
    parts["checkpoint.json"] = json.dumps(text).encode()
    parts |= arrays or {}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    yield path


def npy_of_objects(value):
    """Pickled array of Python objects in NumPy's format."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([value], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def with_attribute(value):
    """Add a forged attribute to the model."""

    def forge(model):
        name, state = model["object"]
        return {"object": [name, {"dict": [*state["dict"], ["weights_", value]]}]}

    return forge


FORGED = {
    "unknown kind": with_attribute({"call": ["os.system", "true"]}),
    "two kinds": with_attribute({"tuple": [], "dict": []}),
    "unknown class": with_attribute({"object": ["Popen", {"dict": []}]}),
    "class by path": with_attribute({"object": ["subprocess.Popen", {"dict": []}]}),
    "builtin": with_attribute({"object": ["builtins.eval", {"dict": []}]}),
    "class of scikit-learn": with_attribute(
        {"object": ["sklearn.pipeline.Pipeline", {"dict": []}]}
    ),
    "tuple of an estimator": with_attribute(
        {"named": ["JLFactorizedNTKRegressor", []]}
    ),
    "tuple of a wrong length": with_attribute({"named": ["Progress", [1]]}),
    "scalar of objects": with_attribute({"scalar": ["O", "AAAAAAAAAAA="]}),
    "bit generator": with_attribute(
        {"random state": {"dict": [["bit_generator", "seed"]]}}
    ),
    "library": with_attribute({"array": [0, "os", "cpu"]}),
    "missing array": with_attribute({"array": [1000, None, None]}),
    "text for a number": with_attribute({"array": ["../x", None, None]}),
    "deep": with_attribute(json.loads("[" * 500 + "]" * 500)),
    "list": [1, 2],
    "operator": {"object": ["Identity", {"dict": []}]},
    "nothing": None,
}


@pytest.mark.parametrize("model", FORGED.values(), ids=FORGED)
def test_error_for_forged_json(model, tmp_path):
    words = r"holds what this version.* Nothing of it"
    with (
        forged(tmp_path / "network", model) as path,
        pytest.raises(ValueError, match=words),
    ):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        {"arrays": {"checkpoint.json": b"{"}},
        {"arrays": {"checkpoint.json": b"[]"}},
        {"format": "sklearn_jlntk checkpoint 3"},
        {"compression": zipfile.ZIP_DEFLATED},
        {"arrays": {"0.npy": b"no array"}},
    ],
    ids=str,
)
def test_error_for_changed_archives(change, tmp_path):
    with (
        forged(tmp_path / "network", **change) as path,
        pytest.raises(ValueError, match="holds what this version"),
    ):
        load_checkpoint(path)


def test_array_of_objects_runs_no_code(tmp_path):
    trace = tmp_path / "trace"
    arrays = {f"{i}.npy": npy_of_objects(Evil(trace)) for i in range(20)}
    # Reading this file by pickle does run its code, which leaves a trace.
    np.load(io.BytesIO(arrays["0.npy"]), allow_pickle=True)[0].close()
    assert trace.exists()
    trace.unlink()
    with (
        forged(tmp_path / "network", arrays=arrays) as path,
        pytest.raises(ValueError, match="Object arrays cannot be loaded"),
    ):
        load_checkpoint(path)
    assert not trace.exists()


def test_pickle_of_the_earlier_format_runs_no_code(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "network"
    payload = pickle.dumps(Evil(trace))
    digest = hashlib.blake2b(payload, digest_size=32).digest()
    path.write_bytes(b"sklearn_jlntk checkpoint 1\n" + digest + payload)
    with pytest.raises(ValueError, match="an earlier version, which wrote pickles"):
        load_checkpoint(path)
    assert not trace.exists()


def test_callbacks_in_a_file_are_ignored(tmp_path):
    def forge(model):
        name, state = model["object"]
        pairs = [*state["dict"], ["_skl_callbacks", [1]]]
        return {"object": [name, {"dict": pairs}]}

    with forged(tmp_path / "network", forge) as path:
        assert not hasattr(load_checkpoint(path), "_skl_callbacks")


@pytest.mark.parametrize("place", np.linspace(0.0, 0.999, 40))
def test_flipped_bit_is_detected(place, tmp_path):
    path = tmp_path / "network"
    model = regressor().fit(X, Y)
    save_checkpoint(path, model)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 4
    path.write_bytes(data)
    try:
        loaded = load_checkpoint(path)
    except ValueError as found:
        error = str(found)
    else:  # dates and the like
        error = "checkpoint"
        assert_alike(loaded.weights_, model.weights_)
        assert_alike(loaded.loss_curve_, model.loss_curve_)
    assert "checkpoint" in error


def test_error_for_other_zip_files(tmp_path):
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "hello")
    with pytest.raises(ValueError, match="is no checkpoint of this package"):
        load_checkpoint(path)


# ---------------------------------------------------------------- files


@contextmanager
def umask(mask):
    """The permissions that new files do not get."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path):
    """Permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


ON_POSIX = pytest.mark.skipif(os.name == "nt", reason="needs permissions")


@ON_POSIX
@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077, 0o027])
def test_permissions_are_those_of_open(mask, tmp_path):
    with umask(mask):
        (tmp_path / "plain").touch()
        path = tmp_path / "network"
        regressor().set_callbacks(Checkpoint(path, every=4)).fit(X, Y)
    assert mode(path) == mode(tmp_path / "plain") == 0o666 & ~mask


@ON_POSIX
@pytest.mark.parametrize("permissions", [0o600, 0o664, 0o604])
def test_existing_permissions_are_kept(permissions, tmp_path):
    path = tmp_path / "network"
    path.touch()
    path.chmod(permissions)
    with umask(0o022):
        regressor().set_callbacks(Checkpoint(path)).fit(X, Y)
    assert mode(path) == permissions
    load_checkpoint(path)


@ON_POSIX
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("kind", ["absolute", "relative", "twice"])
def test_symbolic_link_is_followed(kind, there, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "work").mkdir()
    target, link = tmp_path / "disk" / "file", tmp_path / "work" / "network"
    link.symlink_to("../disk/file" if kind == "relative" else target)
    if there:
        target.write_bytes(b"before")
    if kind == "twice":
        (tmp_path / "work" / "other").symlink_to(link)
        link = tmp_path / "work" / "other"
    regressor().set_callbacks(Checkpoint(link, every=4)).fit(X, Y)
    assert link.is_symlink()
    assert not target.is_symlink()
    assert load_checkpoint(target).n_iter_ == load_checkpoint(link).n_iter_ == 12
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["file"]


def test_relative_path_is_resolved_at_construction(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    checkpoint = Checkpoint("network", every=2)
    assert checkpoint.path == tmp_path / "network"

    class Move(Stop):
        def on_fit_task_end(self, estimator, context):
            os.chdir(tmp_path / "elsewhere")

    regressor().set_callbacks(Move(0), checkpoint).fit(X, Y)
    assert load_checkpoint(tmp_path / "network").n_iter_ == 12
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("path", [".", "folder", "link", ""])
def test_error_for_folder_as_path(path, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        IsADirectoryError, match=r"is a folder\. Give a file in it, such"
    ):
        Checkpoint(path)


@ON_POSIX
def test_error_for_path_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(ValueError, match="is a device or a pipe and cannot"):
            Checkpoint(path)


def test_folder_created_later_at_the_path_warns(tmp_path):
    model = regressor().set_callbacks(Checkpoint(tmp_path / "network"))
    (tmp_path / "network").mkdir()
    with pytest.warns(UserWarning, match="could not be written"):
        model.fit(X, Y)
    assert [path.name for path in tmp_path.iterdir()] == ["network"]


@ON_POSIX
def test_file_and_folder_are_synchronised_in_order(tmp_path, monkeypatch):
    calls = []
    sync, replace = os.fsync, os.replace

    def fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("folder" if is_folder else "file")
        sync(descriptor)

    def move(source, target):
        calls.append("move")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", move)
    save_checkpoint(tmp_path / "network", regressor().fit(X, Y))
    assert calls == ["file", "move", "folder"]


@ON_POSIX
@pytest.mark.parametrize("code, is_told", [(errno.EINVAL, False), (errno.EIO, True)])
def test_folder_that_cannot_be_synchronised(code, is_told, tmp_path, monkeypatch):
    sync = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    model = regressor().set_callbacks(Checkpoint(tmp_path / "network"))
    if is_told:
        with pytest.warns(UserWarning, match="Input/output error"):
            model.fit(X, Y)
    else:
        model.fit(X, Y)
    assert load_checkpoint(tmp_path / "network").n_iter_ == 12


# ---------------------------------------------------------------- killed saves

KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from test_checkpoint_files import *
write = np.lib.format.write_array
def killed(file, array, **options):
    write(file, array, **options)
    if array.size > 500:
        os.kill(os.getpid(), signal.SIGKILL)
model = regressor().fit(X, Y)
np.lib.format.write_array = killed
save_checkpoint(sys.argv[1], model)
"""


def partial_files(folder):
    """Names of partial files in the folder."""
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".partial")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_partial_file_of_a_killed_save_is_removed(tmp_path):
    path, folder = tmp_path / "network", os.path.dirname(__file__)
    save_checkpoint(path, regressor().fit(X, Y))
    before = path.read_bytes()
    command = [sys.executable, "-c", KILLED, str(path), folder]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = partial_files(tmp_path)
    assert left.startswith("network.")
    assert path.read_bytes() == before
    # Files of another checkpoint and of the user, which must stay.
    others = ["network.v2." + "0" * 16 + ".partial", "network.partial", "x.partial"]
    for name in others:
        (tmp_path / name).touch()
    save_checkpoint(path, regressor().fit(X, Y))
    assert partial_files(tmp_path) == sorted(others)


@pytest.mark.skipif(_replacing.fcntl is None, reason="needs locks")
def test_partial_file_of_a_running_save_is_kept(tmp_path):
    path = tmp_path / "network"
    beside, file = _replacing._begin_beside(path)
    with file:
        save_checkpoint(path, regressor().fit(X, Y))
        assert partial_files(tmp_path) == [beside.name]
    save_checkpoint(path, regressor().fit(X, Y))
    assert partial_files(tmp_path) == []


@pytest.mark.skipif(_replacing.fcntl is None, reason="needs locks")
def test_abandoned_file_is_removed_while_its_lock_is_held(tmp_path, monkeypatch):
    (tmp_path / f"network.{'0' * 16}.partial").write_bytes(b"")
    unlink, was_locked = Path.unlink, []

    def checked(path, **options):
        with open(path, "r+b") as file:
            was_locked.append(not _replacing._lock(file, wait=False))
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", checked)
    save_checkpoint(tmp_path / "network", regressor(max_iter=1).fit(X, Y))
    assert was_locked == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["network"]


def test_concurrent_saves_leave_one_complete_file(tmp_path):
    models = [regressor(max_iter=n).fit(X, Y) for n in (1, 2, 3)]
    errors = []

    def save(model):
        try:
            for _ in range(20):
                save_checkpoint(tmp_path / "network", model)
                assert load_checkpoint(tmp_path / "network").n_iter_ in (1, 2, 3)
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)

    threads = [threading.Thread(target=save, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [path.name for path in tmp_path.iterdir()] == ["network"]
