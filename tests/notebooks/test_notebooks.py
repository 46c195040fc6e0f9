"""The notebooks run as a reader would run them, with smaller values in their parameters' cell."""

import ast
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SMALL: dict[str, dict[str, Any]] = {
    "train_an_embedder": {
        "PRODUCTS": 14,
        "PHOTOS_PER_PRODUCT": 5,
        "IMAGE_SIZE": 32,
        "STEPS": 4,
    },
    "inspect_a_release": {
        "PRODUCTS": 14,
        "PHOTOS_PER_PRODUCT": 5,
        "IMAGE_SIZE": 32,
        "STEPS": 4,
        "ROOT": None,
        "CATALOG": None,
    },
}


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def parameters(notebook: Any) -> Any:
    """The one cell that is tagged as such."""
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    return cell


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """That of the kernel: the code under test, and no trace outside of the test's folder."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    return {
        **os.environ,
        "PYTHONPATH": str(FOLDER.parent),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "TMPDIR": str(tmp_path),
    }


def test_every_notebook_is_executed_by_a_test() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SMALL)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "pictures"), [("train_an_embedder", 6), ("inspect_a_release", 4)])
@pytest.mark.slow
def test_a_notebook_runs_from_its_first_cell_to_its_last(
    name: str, pictures: int, environment: dict[str, str], tmp_path: Path
) -> None:
    notebook = read(name)
    parameters(notebook).source = "\n".join(f"{k} = {v!r}" for k, v in SMALL[name].items())
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env=environment)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= pictures
    assert not [o.text for o in outputs if o.output_type == "stream" and "Warning" in o.text]


@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_is_kept_without_what_it_printed(name: str) -> None:
    code = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.parametrize("name", SMALL)
def test_the_smaller_values_are_of_parameters_that_the_notebook_has(name: str) -> None:
    assigned = {
        target.id
        for node in ast.parse(parameters(read(name)).source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert assigned == set(SMALL[name])
