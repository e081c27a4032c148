"""Public names and signatures; changing this file changes the API."""

import importlib
import importlib.metadata
import inspect
import pkgutil
import re
from operator import attrgetter
from pathlib import Path

import pytest

import sklearn_jlntk

DOCS = Path(__file__).parents[1] / "docs"

# Where each name is imported from.
NAMES = {
    "sklearn_jlntk": {
        "FJLT",
        "JLFactorizedNTKClassifier",
        "JLFactorizedNTKEnsemble",
        "JLFactorizedNTKRegressor",
        "NTKKernel",
        "NTKKernelClassifier",
        "NystroemNTKKernel",
    },
    "sklearn_jlntk.checkpoint": {"Checkpoint", "load_checkpoint"},
    "sklearn_jlntk.dask": {
        "DaskJLFactorizedNTKClassifier",
        "DaskJLFactorizedNTKRegressor",
    },
    "sklearn_jlntk.dask.kernels": {"kernel_operator", "ntk_kernel"},
    "sklearn_jlntk.diagnostics": {"NTKMonitor", "NTKReport"},
    "sklearn_jlntk.kernels": {"NTK", "nngp_kernel", "ntk_kernel"},
    "sklearn_jlntk.network": {"FactorizedNetwork"},
    "sklearn_jlntk.ntk": {"empirical_ntk", "infinite_width_ntk", "smallest_eigenvalue"},
    "sklearn_jlntk.operators": {"make_sketch"},
    "sklearn_jlntk.out_of_core": {"RowChunks"},
    "sklearn_jlntk.plotting": {
        "InfluentialRowsDisplay",
        "KernelDriftDisplay",
        "NTKSpectrumDisplay",
        "PredictionIntervalDisplay",
        "TargetAlignmentDisplay",
        "TrainingCurveDisplay",
        "WidthScalingDisplay",
    },
    "sklearn_jlntk.theory": {
        "KernelDescent",
        "RiskEstimates",
        "kernel_descent",
        "learning_rate",
        "risk_estimates",
        "width",
    },
}

NETWORK_PARAMETERS = {
    "factorization": "bc",
    "width": 384,
    "n_components": "auto",
    "effective_width": "auto",
    "input_sketch": "block-hadamard",
    "width_sketch": "block-hadamard",
    "learning_rate": "auto",
    "max_iter": 800,
    "tol": 5e-5,
    "alpha": 0.0,
    "normalize": "bias",
    "initial_output": "zero",
    "fit_intercept": True,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "n_iter_no_change": 10,
    "warm_start": False,
    "solver": "auto",
    "device": None,
    "random_state": None,
}

_FIRST = list(NETWORK_PARAMETERS).index("warm_start")
CLASSIFIER_PARAMETERS = dict(
    [
        *list(NETWORK_PARAMETERS.items())[:_FIRST],
        ("class_weight", None),
        *list(NETWORK_PARAMETERS.items())[_FIRST:],
    ]
)

CLASSIFIER_PARAMETERS |= {"width": 512, "max_iter": 500, "tol": 1e-4}

# Parameters and defaults, in order: those before "*" may be given by position.
REQUIRED = inspect.Parameter.empty
SIGNATURES = {
    "JLFactorizedNTKRegressor": {"*": None, **NETWORK_PARAMETERS},
    "JLFactorizedNTKClassifier": {"*": None, **CLASSIFIER_PARAMETERS},
    "JLFactorizedNTKEnsemble": {
        "estimator": None,
        "*": None,
        "n_estimators": 16,
        "random_state": None,
    },
    "dask.DaskJLFactorizedNTKRegressor": {
        "*": None,
        "client": None,
        **NETWORK_PARAMETERS,
    },
    "dask.DaskJLFactorizedNTKClassifier": {
        "*": None,
        "client": None,
        **CLASSIFIER_PARAMETERS,
    },
    "NTKKernel": {
        "*": None,
        "depth": 1,
        "train": "first",
        "bias": 0.0,
        "alpha": "loo",
        "time": None,
        "fit_intercept": True,
        "metric": None,
        "factorization": None,
        "n_components": "auto",
        "width": 4096,
        "effective_width": "auto",
        "input_sketch": "block-hadamard",
        "width_sketch": "block-hadamard",
        "normalize": "bias",
        "device": None,
        "random_state": None,
    },
    "NTKKernelClassifier": {
        "*": None,
        "depth": 1,
        "train": "first",
        "bias": 0.0,
        "alpha": "loo",
        "loo_scoring": "log_loss",
        "class_weight": None,
        "fit_intercept": True,
        "metric": None,
        "factorization": None,
        "n_components": "auto",
        "width": 4096,
        "effective_width": "auto",
        "input_sketch": "block-hadamard",
        "width_sketch": "block-hadamard",
        "normalize": "bias",
        "device": None,
        "random_state": None,
    },
    "NystroemNTKKernel": {
        "*": None,
        "n_centers": 1000,
        "centers": None,
        "depth": 1,
        "train": "first",
        "bias": 0.0,
        "alpha": "loo",
        "fit_intercept": True,
        "tol": 1e-6,
        "max_iter": 100,
        "factorization": None,
        "n_components": "auto",
        "width": 4096,
        "effective_width": "auto",
        "input_sketch": "block-hadamard",
        "width_sketch": "block-hadamard",
        "normalize": "bias",
        "device": None,
        "random_state": None,
    },
    "FJLT": {
        "n_components": "auto",
        "*": None,
        "eps": 0.1,
        "method": "block-hadamard",
        "random_state": None,
    },
    "out_of_core.RowChunks": {
        "X": REQUIRED,
        "*": None,
        "chunk_rows": "auto",
        "scratch": None,
        "memory": 2**30,
        "transform": None,
    },
    "checkpoint.Checkpoint": {"path": REQUIRED, "*": None, "every": 10},
    "kernels.ntk_kernel": {
        "X": REQUIRED,
        "Y": None,
        "*": None,
        "depth": 1,
        "train": "first",
        "bias": 0.0,
    },
}

METHODS = {
    "JLFactorizedNTKRegressor": (
        "attribute diagnose effective_weights fit lambda_0 ntk partial_fit predict score"
    ),
    "JLFactorizedNTKClassifier": (
        "attribute decision_function diagnose fit lambda_0 ntk partial_fit predict score"
    ),
    "JLFactorizedNTKEnsemble": "fit predict sample_y score",
    "dask.DaskJLFactorizedNTKRegressor": "fit partial_fit predict score to_local",
    "dask.DaskJLFactorizedNTKClassifier": (
        "decision_function fit partial_fit predict score to_local"
    ),
    "NTKKernel": (
        "attribute fit predict predict_interval risk_estimates score staged_predict "
        "transform"
    ),
    "NTKKernelClassifier": (
        "attribute decision_function fit predict predict_proba score"
    ),
    "NystroemNTKKernel": "fit predict predict_interval score",
    "FJLT": "fit get_feature_names_out inverse_transform transform",
}


def public_modules():
    """Names of the modules without a leading underscore, the package first."""
    found = pkgutil.walk_packages(sklearn_jlntk.__path__, "sklearn_jlntk.")
    return ["sklearn_jlntk", *(info.name for info in found if "._" not in info.name)]


def written_signature(function):
    """Parameters and defaults of a callable in the notation of SIGNATURES."""
    written = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in written:
            written["*"] = None
        written[name] = parameter.default
    return written


@pytest.mark.parametrize("module", sorted(NAMES))
def test_public_names_can_be_imported(module):
    assert NAMES[module] <= set(dir(importlib.import_module(module)))


def test_package_lists_exactly_its_names():
    assert set(sklearn_jlntk.__all__) == NAMES["sklearn_jlntk"]


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_signature_is_the_documented_one(name):
    signature = written_signature(attrgetter(name)(sklearn_jlntk))
    assert list(signature.items()) == list(SIGNATURES[name].items())


@pytest.mark.parametrize("name", sorted(METHODS))
def test_public_methods_exist(name):
    cls = attrgetter(name)(sklearn_jlntk)
    missing = [m for m in METHODS[name].split() if not callable(getattr(cls, m, None))]
    assert not missing


@pytest.mark.parametrize("name", public_modules())
def test_modules_list_all_public_names(name):
    module = importlib.import_module(name)
    listed = module.__all__
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(dir(module))
    defined = {
        key
        for key, thing in vars(module).items()
        if not key.startswith("_") and getattr(thing, "__module__", None) == name
    }
    assert defined <= set(listed)


def hand_written_pages():
    pages = (page.relative_to(DOCS) for page in DOCS.rglob("*.rst"))
    generated = {"_build", "auto_examples", "generated"}
    return sorted(page for page in pages if page.parts[0] not in generated)


@pytest.mark.parametrize("page", hand_written_pages(), ids=str)
def test_reference_page_names_exist(page):
    roles = re.findall(
        r":(?:func|class|meth|mod):`~?([\w.]+)`", (DOCS / page).read_text("utf-8")
    )
    for name in roles:
        is_full = name.split(".")[0] in {"numpy", "sklearn", "sklearn_jlntk"}
        assert pkgutil.resolve_name(name if is_full else f"sklearn_jlntk.{name}")


@pytest.mark.parametrize("name", public_modules())
def test_reference_page_lists_every_public_class_and_function(name):
    page = (DOCS / "reference.rst").read_text("utf-8")
    listed = set(re.findall(r"^   ([\w.]+)$", page, re.MULTILINE))
    module = importlib.import_module(name)
    missing = {
        key
        for key in module.__all__
        if callable(getattr(module, key))
        and not {key, f"{name}.{key}".removeprefix("sklearn_jlntk.")} & listed
    }
    assert not missing


def test_version_is_that_of_the_installed_package():
    installed = importlib.metadata.version("sklearn-jlntk")
    assert sklearn_jlntk.__version__ == installed
