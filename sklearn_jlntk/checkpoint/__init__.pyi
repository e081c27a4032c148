"""Types of sklearn_jlntk.checkpoint; made by .ci/type_stubs.py."""

from pathlib import Path
from typing import Any

from sklearn_jlntk._backend.array_types import StrPath

class Checkpoint:
    def __init__(self, path: StrPath, *, every: int = 10) -> None: ...
    path: Path
    every: int
    def setup(self, estimator: Any, context: Any) -> None: ...
    def teardown(self, estimator: Any, context: Any) -> None: ...
    def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...
    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None: ...

def load_checkpoint(path: StrPath) -> Any: ...

__all__ = ["Checkpoint", "load_checkpoint"]
