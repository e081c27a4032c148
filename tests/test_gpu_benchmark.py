"""The benchmark of a card runs, in small and on the CPU, where no one has a card."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """The script as a module, without PyTorch and JAX, whose compilers take minutes."""
    if not FOLDER.exists():
        pytest.skip("no benchmarks beside these tests")
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("gpu", FOLDER / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    yield module
    sys.modules.pop("gpu_problems", None)


def test_every_row_of_the_gpu_benchmark_is_measured(gpu, tmp_path):
    device = gpu.Host()
    for tables in gpu.run(device, float("inf"), 1, True):
        gpu.save(gpu.environment(device), tables)
    rows = [row for rows in tables.values() for row in rows]
    assert len(rows) == sum(len(c) for _, c in gpu.PROBLEMS) + len(gpu.FITS)
    assert all(row["seconds"][gpu.OURS] > 0 for row in rows)
    (page,), (numbers,) = tmp_path.glob("*.md"), tmp_path.glob("*.json")
    assert device.name in page.read_text()
    assert "not installed" in page.read_text()
    assert json.loads(numbers.read_text())["tables"] == tables


def test_row_that_fails_does_not_cost_the_others(gpu, monkeypatch, capsys):
    def full(self):
        raise MemoryError("no room\nat all")

    monkeypatch.setattr(gpu.Sketch, "contenders", full)
    *_, tables = gpu.run(gpu.Host(), float("inf"), 1, True)
    assert {row["not run"]["all"] for row in tables["sketch"]} == {
        "MemoryError: no room"
    }
    assert "no room" in capsys.readouterr().err
    assert all("seconds" in row for row in tables["kernel"] + tables["step"])
    assert "| MemoryError: no room |" in gpu.markdown(tables)


def test_gpu_benchmark_begins_no_row_after_its_time(gpu):
    *_, tables = gpu.run(gpu.Host(), float("-inf"), 1, True)
    assert all(
        row["not run"] == {"all": "out of time"}
        for rows in tables.values()
        for row in rows
    )
    assert "out of time" in gpu.markdown(tables)
