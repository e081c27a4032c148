"""Dry run of the GPU benchmark on the CPU."""

import json
import time

import numpy as np
import pytest
from cuda_on_host import COMPILER, pretend_numpy_is_on_a_card

run = pytest.importorskip("benchmarks.harness.run", reason="no benchmarks here")
card = pytest.importorskip("benchmarks.gpu.card", reason="no benchmarks here")


@pytest.fixture(autouse=True)
def without_compilers(monkeypatch):
    """Leave out PyTorch and JAX, whose compilers take minutes."""
    monkeypatch.setattr(card, "find_spec", lambda name: None)


@pytest.fixture
def measure(tmp_path):
    """Numbers and page of a dry run."""

    def results(*options):
        arguments = ["gpu", "--dry-run", "--results", str(tmp_path), *options]
        try:
            run.run_benchmark("gpu", arguments)
        finally:
            (page,), (numbers,) = tmp_path.glob("*.md"), tmp_path.glob("*.json")
        return json.loads(numbers.read_text()), page.read_text()

    return results


def test_every_row_of_the_gpu_benchmark_is_measured(measure):
    result, page = measure()
    rows = result["rows"]
    assert len(rows) == sum(len(c) for _, c in card.PROBLEMS) + len(card.FITS)
    assert all(row["seconds"][card.OURS] > 0 for row in rows)
    assert result["environment"]["card"] == card.Host.name
    assert card.Host.name in page
    assert "not installed" in page


def test_failed_row_does_not_stop_the_others(measure, monkeypatch, capsys, tmp_path):
    def full(self):
        raise MemoryError("no room\nat all")

    monkeypatch.setattr(card.Sketch, "contenders", full)
    with pytest.raises(SystemExit, match=r"^2 rows were not run\.$"):
        measure()
    assert "no room" in capsys.readouterr().err
    (path,) = tmp_path.glob("*.json")
    rows = json.loads(path.read_text())["rows"]
    failed = [row for row in rows if "seconds" not in row]
    assert [row["table"] for row in failed] == ["Sketch"] * 2
    assert all(row["not run"] == {"all": "MemoryError: no room"} for row in failed)
    assert "| MemoryError: no room |" in path.with_suffix(".md").read_text()


def test_gpu_benchmark_starts_no_row_after_its_time_limit(measure, tmp_path):
    with pytest.raises(SystemExit, match="rows were not run"):
        measure("--minutes", "-1")
    (path,) = tmp_path.glob("*.json")
    rows = json.loads(path.read_text())["rows"]
    assert all(row["not run"] == {"all": "out of time"} for row in rows)
    assert "out of time" in path.with_suffix(".md").read_text()


def test_compilers_come_after_all_rows_and_have_a_limit(measure, monkeypatch):
    begun = []
    kernel = card.Kernel.contenders

    def contenders(self):
        for name, contender in kernel(self):
            if name in card.COMPILERS:
                yield name, lambda name=name: begun.append(name) or time.sleep(60)
            else:
                yield name, contender

    monkeypatch.setattr(card.Kernel, "contenders", contenders)
    monkeypatch.setattr(
        card, "find_spec", lambda name: None if name == "torch" else True
    )
    monkeypatch.setattr(card, "PROBLEMS", ((card.Kernel, card.KERNELS),))
    result, page = measure("--compiler-minutes", "0.01")
    rows = result["rows"]
    assert len(rows) == len(card.KERNELS) + len(card.FITS)
    assert begun == ["jax.jit"]
    of_kernels = [row for row in rows if row["table"] == "Kernel"]
    assert all(row["seconds"][card.OURS] > 0 for row in of_kernels)
    assert all(row["not run"]["jax.jit"] == "out of time" for row in of_kernels)
    assert "out of time" in page


@pytest.mark.parametrize("factorization, k", [("bc", None), ("abc", 64)])
def test_planned_steps_are_measured_where_there_is_a_plan(
    monkeypatch, tmp_path, factorization, k
):
    if COMPILER is None:
        pytest.skip("no C++ compiler")
    pretend_numpy_is_on_a_card(monkeypatch, tmp_path)
    problem = card.Step(card.Host(), factorization, "float64", 40, 128, 5, k, 1)
    contenders = dict(problem.contenders())
    desired = contenders["array path"]()
    assert np.max(np.abs(card.result_of(contenders[card.OURS]) - desired)) < 1e-9
    row = card.compare(card.Host(), problem, 1)
    assert row["note"] == "planned"
    assert row["seconds"][card.OURS] > 0


def test_columns_are_those_with_a_figure_and_peers_come_first():
    row = {"table": "Step", "n": 5, "note": "planned", "floor": 1e-3}
    rows = [
        {
            **row,
            "seconds": {"array path": 4e-3, card.OURS: 2e-3, "jax.jit": 6e-3},
            "not run": {"torch.compile": "out of time"},
        },
        {**row, "seconds": {card.OURS: 1e-3}, "not run": {"jax.jit": "out of time"}},
    ]
    assert card.markdown(rows).splitlines()[2:] == [
        "| n | ours, ms | jax.jit | array path | floor | how |",
        "| --- | --- | --- | --- | --- | --- |",
        "| 5 | 2 | 3.00 x | 2.00 x | 0.50 x | planned |",
        "| 5 | 1 | out of time | - | 1.00 x | planned |",
        "",
        "Without a figure: torch.compile (out of time).",
    ]
