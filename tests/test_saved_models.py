"""Models that are kept: the version in a pickle, and the page that the HTML repr names."""

import pickle
import re
import tomllib
import warnings
from email.message import Message
from pathlib import Path

import joblib
import numpy as np
import pytest
from assertions import assert_close
from family import ESTIMATORS, answers, fitted
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import estimator_html_repr

import sklearn_jlntk
from sklearn_jlntk._validation import _estimator

ROOT = Path(__file__).parents[1]
with_estimator = pytest.mark.parametrize(
    "estimator", ESTIMATORS.values(), ids=list(ESTIMATORS)
)
OLD_MODELS = sorted((Path(__file__).parent / "saved_models").glob("*.pickle"))
VERSION_KEY = "_sklearn_jlntk_version"


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    return X, X[:, 0] * X[:, 1] + 0.1 * rng.normal(size=40)


def assert_answers_alike(model, other, X):
    for name, expected in answers(model, X).items():
        np.testing.assert_array_equal(answers(other, X)[name], expected)


@with_estimator
def test_pickle_carries_the_version_and_the_model_does_not(estimator):
    X, y = data()
    model = fitted(estimator, X, y)
    assert model.__getstate__()[VERSION_KEY] == sklearn_jlntk.__version__
    copy = pickle.loads(pickle.dumps(model))
    assert_answers_alike(model, copy, X)
    assert vars(copy).keys() == vars(model).keys()
    assert VERSION_KEY not in vars(clone(model))


@with_estimator
def test_loading_what_another_version_saved_warns_and_loads(estimator, monkeypatch):
    X, y = data()
    model = fitted(estimator, X, y)
    monkeypatch.setattr(sklearn_jlntk, "__version__", "0.0.7")
    saved = pickle.dumps(model)
    monkeypatch.setattr(sklearn_jlntk, "__version__", "9.1.0")
    name = type(model).__name__
    words = f"This {name} was saved by sklearn_jlntk 0.0.7 and is loaded by 9.1.0"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        copy = pickle.loads(saved)
    assert_answers_alike(model, copy, X)
    assert {warning.filename for warning in caught} == {__file__}
    # The network of an ensemble warns for itself.
    (warning,) = [w.message for w in caught if str(w.message).startswith(words)]
    assert isinstance(warning, InconsistentVersionWarning)
    assert warning.original_sklearn_version == "0.0.7"
    assert warning.estimator_name == name


def test_state_without_a_version_is_of_an_early_one():
    model = sklearn_jlntk.FJLT(3)
    state = model.__getstate__()
    del state[VERSION_KEY]
    with pytest.warns(InconsistentVersionWarning, match="before 0.1.0 and is loaded"):
        model.__setstate__(state)


def test_joblib_warns_of_another_version_as_pickle_does(tmp_path, monkeypatch):
    joblib.dump(sklearn_jlntk.NTKKernel(), tmp_path / "model")
    monkeypatch.setattr(sklearn_jlntk, "__version__", "9.1.0")
    with pytest.warns(InconsistentVersionWarning, match="This NTKKernel was saved by"):
        joblib.load(tmp_path / "model")


@pytest.mark.parametrize("version, folder", [("0.2.0.dev0", "dev"), ("1.0", "stable")])
@pytest.mark.parametrize("name", sklearn_jlntk.__all__)
def test_html_repr_leads_to_the_page_of_the_reference(
    name, version, folder, monkeypatch
):
    about = Message()
    about["Project-URL"] = "Source, https://example.org/code"
    about["Project-URL"] = "Documentation, https://example.org/pages/"
    monkeypatch.setattr(_estimator, "metadata", lambda name: about)
    monkeypatch.setattr(sklearn_jlntk, "__version__", version)
    _estimator._pages.cache_clear()
    try:
        html = estimator_html_repr(getattr(sklearn_jlntk, name)())
    finally:
        _estimator._pages.cache_clear()
    page = f"https://example.org/pages/{folder}/generated/sklearn_jlntk.{name}.html"
    assert f'href="{page}"' in html
    reference = (ROOT / "docs" / "reference.rst").read_text("utf-8")
    assert re.search(rf"^   {name}$", reference, re.MULTILINE)


def test_estimator_of_a_cluster_has_the_page_of_its_module():
    pytest.importorskip("distributed")
    from sklearn_jlntk.dask import DaskJLFactorizedNTKRegressor

    page = DaskJLFactorizedNTKRegressor()._doc_link_url_param_generator()["page"]
    assert page == "sklearn_jlntk.dask.DaskJLFactorizedNTKRegressor"


def test_estimator_of_someone_else_has_no_page():
    class Mine(sklearn_jlntk.NTKKernel):
        """Estimator of another package."""

    assert Mine()._get_doc_link() == ""


def test_package_that_is_not_installed_has_no_page(monkeypatch):
    def absent(name):
        raise _estimator.PackageNotFoundError(name)

    monkeypatch.setattr(_estimator, "metadata", absent)
    _estimator._pages.cache_clear()
    try:
        assert sklearn_jlntk.NTKKernel()._get_doc_link() == ""
        assert "Documentation" not in estimator_html_repr(sklearn_jlntk.NTKKernel())
    finally:
        _estimator._pages.cache_clear()


def test_package_names_the_address_of_its_pages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["urls"]["Documentation"].startswith("https://")


@pytest.mark.parametrize("path", OLD_MODELS, ids=[path.stem for path in OLD_MODELS])
def test_models_of_earlier_versions_answer_as_they_did(path):
    kept = pickle.loads(path.read_bytes())
    is_other = path.stem != sklearn_jlntk.__version__
    for saved, expected in kept["models"].values():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = pickle.loads(saved)
        kinds = {w.category for w in caught if "sklearn_jlntk" in str(w.message)}
        assert kinds == ({_estimator.InconsistentVersionWarning} if is_other else set())
        now = answers(model, kept["X"])
        assert now.keys() == expected.keys()
        for method, values in expected.items():
            # Products are added in another order on other machines.
            assert_close(now[method], values, rtol=1e-7, atol=1e-9)


def test_models_of_every_release_are_kept():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert {path.stem for path in OLD_MODELS} == set(released)


@with_estimator
def test_skops_saves_models_and_names_few_types_to_trust(estimator, tmp_path):
    skops = pytest.importorskip("skops.io")
    X, y = data()
    model = fitted(estimator, X, y)
    path = tmp_path / "model.skops"
    skops.dump(model, path)
    types = skops.get_untrusted_types(file=path)
    assert all(name.startswith("sklearn_jlntk.") for name in types), types
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = skops.load(path, trusted=types)
    assert_answers_alike(model, copy, X)


@with_estimator
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_arrays_of_a_dumped_model_may_be_mapped(estimator, dtype, tmp_path):
    X, y = data()
    X = X.astype(dtype)
    model = fitted(estimator, X, y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert_answers_alike(model, mapped, X)
    arrays = {k: v for k, v in vars(mapped).items() if isinstance(v, np.ndarray)}
    assert all(isinstance(array, np.memmap) for array in arrays.values())
    assert arrays or isinstance(model, sklearn_jlntk.FJLT)


@pytest.mark.parametrize("factorization", ["bc", "abc", "dense"])
def test_training_of_a_mapped_model_continues(factorization, tmp_path):
    X, y = data()
    model = sklearn_jlntk.JLFactorizedNTKRegressor(
        factorization=factorization, width=64, max_iter=5, tol=None, random_state=0
    ).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    expected = model.partial_fit(X, y).weights_
    np.testing.assert_array_equal(mapped.partial_fit(X, y).weights_, expected)
