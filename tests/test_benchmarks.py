"""Every benchmark is listed, described and importable; results are JSON and a table."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
run = pytest.importorskip("benchmarks.harness.run", reason="no benchmarks here")
turns = importlib.import_module("benchmarks.harness.turns")

BENCHMARKS = sorted(run.BENCHMARKS)
RESULTS = sorted(run.RESULTS.glob("*.json"))


def load(name):
    return importlib.import_module(f"benchmarks.{run.BENCHMARKS[name]}")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark_is_described_and_has_what_the_harness_calls(name):
    module = load(name)
    assert run.about(name) == module.__doc__.partition("\n")[0]
    assert run.about(name).endswith(".")
    assert callable(module.run)
    assert callable(module.markdown)
    options = run.parsed(name, module, [name, "--dry-run"])
    assert options.results is None
    assert options.rounds == 1


def test_every_module_in_a_folder_of_a_subject_is_listed():
    folder = ROOT / "benchmarks"
    modules = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.glob("*/*.py")
        if path.parent.name != "harness" and not path.name.startswith("_")
    }
    assert modules == set(run.BENCHMARKS.values())


def test_readme_has_a_line_for_every_benchmark_and_every_kept_result():
    page = (ROOT / "benchmarks" / "README.md").read_text()
    lines = dict(re.findall(r"^\| `([\w-]+)` \|(.*)\|$", page, flags=re.MULTILINE))
    assert sorted(lines) == BENCHMARKS
    for path in RESULTS:
        benchmark = json.loads(path.read_text())["benchmark"]
        assert f"`{benchmark}-" in lines[benchmark]


def python(*arguments):
    """Exit status, output and errors of Python from the root of the repository."""
    path = os.pathsep.join(filter(None, sys.path))
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def command(*arguments):
    """Exit status, output and errors of `python -m benchmarks`."""
    return python("-m", "benchmarks", *arguments)


def test_list_names_every_benchmark_without_importing_any():
    code, printed, errors = command("--list")
    assert (code, errors) == (0, "")
    for name in BENCHMARKS:
        assert re.search(
            rf"^{name} +{re.escape(run.about(name))}$", printed, re.MULTILINE
        )


def test_threads_are_set_before_numpy_is_imported():
    code = (
        "import sys, benchmarks.__main__\n"
        "assert 'numpy' not in sys.modules\n"
        "benchmarks.harness.run.keep_to_cores(1)\n"
        "import numpy, threadpoolctl\n"
        "print([pool['num_threads'] for pool in threadpoolctl.threadpool_info()])"
    )
    assert python("-c", code) == (0, "[1]\n", "")


def test_dry_run_writes_json_and_a_table(tmp_path):
    arguments = ["preconditioners", "--dry-run", "--threads", "1"]
    code, printed, errors = command(*arguments, "--results", str(tmp_path))
    assert code == 0, errors
    result = json.loads((tmp_path / "preconditioners-1-threads.json").read_text())
    page = (tmp_path / "preconditioners-1-threads.md").read_text()
    assert set(result) == {"benchmark", "command", "date", "environment", "rows"}
    assert result["environment"]["threads"] == 1
    assert "python -m benchmarks preconditioners --dry-run" in result["command"]
    assert result["command"] in page
    assert printed.strip() in page
    assert page.count("\n| ") == 2 + len(result["rows"]) == 8
    assert [json.loads(line) for line in errors.splitlines()] == result["rows"]


def test_package_of_another_checkout_is_measured(tmp_path):
    (tmp_path / "sklearn_jlntk").mkdir()
    (tmp_path / "sklearn_jlntk" / "__init__.py").write_text("raise OSError('another')")
    code, _, errors = command("fingerprints", "--checkout", str(tmp_path))
    assert code != 0
    assert "OSError: another" in errors
    with pytest.raises(
        SystemExit, match="has no folder sklearn_jlntk; give a checkout"
    ):
        run.take_package_from(ROOT / "tests", tmp_path)


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """Results, by file name, of a dry run in this process without pauses."""
    for name in ("PAUSE", "WARM_UP", "TIMED"):
        monkeypatch.setattr(turns, name, 0)

    def results(name, *options):
        where = ["--results", str(tmp_path)]
        run.run_benchmark(name, [name, "--dry-run", *where, *options])
        paths = tmp_path.glob("*.json")
        return {path.stem: json.loads(path.read_text()) for path in paths}

    return results


@pytest.mark.parametrize(
    "name", ["sketches", "sparse-rows", "other-kernels", "kernels"]
)
def test_dry_run_measures(name, measure, tmp_path):
    ((stem, result),) = measure(name).items()
    assert result["benchmark"] == name
    assert result["rows"]
    assert run.page(load(name), result) == (tmp_path / f"{stem}.md").read_text()


def test_rows_that_are_measured_again_replace_those_kept(measure):
    task = ["quality", "--only", "iris", "--models"]
    ((_, first),) = measure(*task, "SVC", "RidgeClassifier").items()
    ((_, second),) = measure(*task, "SVC", "MLP").items()
    models = [row["model"] for row in second["rows"]]
    assert models == ["RidgeClassifier", "SVC", "MLP"]
    assert second["rows"][0] == first["rows"][0]
    assert second["rows"][1] != first["rows"][1]  # its seconds


def test_variant_of_an_estimator_has_a_line_of_its_own(measure):
    variant = ["JLFactorizedNTKClassifier", "width=64", "max_iter=3", "solver=gd"]
    models = [
        "--only",
        "iris",
        "--models",
        ", ".join([variant[0], " ".join(variant[1:])]),
    ]
    ((_, result),) = measure("quality", "--variant", *variant, *models).items()
    (row,) = result["rows"]
    assert row["model"] == "JLFactorizedNTKClassifier, width=64 max_iter=3 solver=gd"
    assert row["warnings"]  # of steps that ran out


def test_variant_is_measured_with_the_estimator_that_it_is_one_of(measure):
    options = ["--only", "iris", "--models", "NTKKernelClassifier"]
    options += ["--variant", "NTKKernelClassifier", "alpha=3"]
    ((_, result),) = measure("quality", *options).items()
    models = [row["model"] for row in result["rows"]]
    assert models == ["NTKKernelClassifier", "NTKKernelClassifier, alpha=3"]


def test_mean_ranks_are_those_of_tables_that_all_models_have():
    row = {"table": "regression", "processor": [1.0], "warnings": 0}
    scores = {"a": [0.5, 0.2, 0.9], "b": [0.5, 0.3]}
    rows = [
        {**row, "data": f"d{i}", "model": model, "scores": [score]}
        for model, found in scores.items()
        for i, score in enumerate(found)
    ]
    assert load("quality").markdown(rows).splitlines()[2:] == [
        "| model | mean rank | mean score | seconds | warned | d0 | d1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| b | 1.25 | 0.400 | 2.0 | 0 | 0.500 | 0.300 |",
        "| a | 1.75 | 0.350 | 2.0 | 0 | 0.500 | 0.200 |",
    ]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_kept_page_is_made_of_its_kept_numbers(path):
    result = json.loads(path.read_text())
    page = path.with_suffix(".md").read_text()
    assert page == run.page(load(result["benchmark"]), result)
    assert path.stem.startswith(result["benchmark"])


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_readme_shows_the_kept_table_of_quality(task):
    kept = (run.RESULTS / "quality-2-threads.md").read_text()
    shown = (ROOT / "README.md").read_text()
    kept, shown = (
        [line.strip("| ").split(" | ")[:4] for line in lines if line.startswith("| ")]
        for lines in (
            kept.partition(f"## {task}\n")[2].partition("\n## ")[0].splitlines(),
            shown.partition(f"\n| {task} ")[2].partition("\n\n")[0].splitlines(),
        )
    )
    assert len(kept) > 7
    assert shown[2:] == kept[2:]  # without the headings
