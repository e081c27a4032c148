"""Products that determine gates have full precision, for all settings of the user."""

import numpy as np
import pytest

from sklearn_jlntk._backend import array_api
from sklearn_jlntk._backend.array_api import full_precision_matmul
from sklearn_jlntk.network import FactorizedNetwork, _pass_arrays


@pytest.fixture
def matmul(monkeypatch):
    """PyTorch's settings of products on CUDA; tensors of the CPU pass for those of CUDA."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(array_api, "_is_on_cuda", lambda tensor: True)
    settings = torch.backends.cuda.matmul
    before = settings.fp32_precision
    yield settings
    settings.fp32_precision = before


def draw(xp):
    """Network, weights and features."""
    rng = np.random.default_rng(0)
    v, B, F = (
        xp.asarray(array.astype(np.float32))
        for array in (
            rng.choice([-1.0, 1.0], 50),
            rng.standard_normal((50, 7)),
            rng.standard_normal((7, 20)),
        )
    )
    return FactorizedNetwork.from_arrays(v=v), B, F


def test_network_switches_tf32_off_and_on_again(matmul, monkeypatch):
    import torch

    network, B, F = draw(torch)
    seen, outputs = [], _pass_arrays.ArrayPass.outputs

    def note(*args):
        seen.append(matmul.fp32_precision)
        return outputs(*args)

    monkeypatch.setattr(_pass_arrays.ArrayPass, "outputs", note)
    matmul.fp32_precision = "tf32"
    network.outputs(B, F)
    assert seen == ["ieee"]
    assert matmul.fp32_precision == "tf32"


def test_setting_is_restored_after_an_error(matmul):
    import torch

    matmul.fp32_precision = "tf32"
    with pytest.raises(ZeroDivisionError), full_precision_matmul(torch.zeros(1)):
        raise ZeroDivisionError
    assert matmul.fp32_precision == "tf32"


def test_flag_of_old_releases_is_restored(matmul):
    import torch

    matmul.allow_tf32 = True
    with full_precision_matmul(torch.zeros(1)):
        assert matmul.fp32_precision == "ieee"
    assert matmul.allow_tf32
    matmul.allow_tf32 = False


def test_host_arrays_change_no_setting():
    torch = pytest.importorskip("torch")
    before = torch.backends.cuda.matmul.fp32_precision
    for x in (np.zeros(1), torch.zeros(1)):
        with full_precision_matmul(x):
            assert torch.backends.cuda.matmul.fp32_precision == before


@pytest.mark.gpu
def test_gates_of_cupy_are_computed_without_tf32():
    cupy = pytest.importorskip("cupy")
    from cupy._core import get_compute_type, set_compute_type
    from cupy._core._routines_linalg import COMPUTE_TYPE_TF32

    if int(cupy.cuda.Device().compute_capability) < 80:
        pytest.skip("This card has no TF32")
    network, B, F = draw(cupy)
    expected, before = network.outputs(B, F), get_compute_type(np.float32)
    set_compute_type(np.float32, COMPUTE_TYPE_TF32)
    try:
        cupy.testing.assert_array_equal(network.outputs(B, F), expected)
        assert get_compute_type(np.float32) == COMPUTE_TYPE_TF32
    finally:
        set_compute_type(np.float32, before)
