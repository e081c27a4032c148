"""Where the CUDA kernels run: on a card, or on the CPU thread by thread."""

import numpy as np
import pytest
from cuda_on_host import COMPILER, pretend_numpy_is_on_a_card


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """Folder of the compiled sources."""
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture(
    params=["forward", "backward", pytest.param("card", marks=pytest.mark.gpu)]
)
def card(request, monkeypatch, libraries):
    """Function that moves NumPy arrays to the device on which the kernels run."""
    if request.param == "card":
        cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
        if not cupy.cuda.is_available():
            pytest.skip("no CUDA device")
        return cupy.asarray
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    backward = request.param == "backward"
    pretend_numpy_is_on_a_card(monkeypatch, libraries, backward=backward)
    return np.asarray
