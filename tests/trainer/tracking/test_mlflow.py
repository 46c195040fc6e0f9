import json
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from function.storage import open_storage
from tests.ports import free_port
from trainer.errors import LookalikeError
from trainer.tracking import open_trackers, read_curves

CONFIG = {"steps": 20, "augmentation": {"flip": 0.5, "scale": [0.5, 1.0]}}


@pytest.fixture
def store(offline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A store of files, the one kind that mlflow-skinny has without a server."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    return MlflowClient()


def only_run(store: MlflowClient) -> Run:
    experiment = store.get_experiment_by_name("lookalike")
    assert experiment is not None
    (run,) = store.search_runs([experiment.experiment_id])
    return run


def loss(store: MlflowClient) -> list[tuple[int, float]]:
    history = store.get_metric_history(only_run(store).info.run_id, "loss")
    return [(point.step, point.value) for point in history]


def test_the_store_gets_the_points_and_what_is_trained(store: MlflowClient, tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "first")
    with open_trackers(["mlflow"], storage, config=CONFIG, start_step=1) as tracker:
        for step in (10, 20):
            tracker.write(step, {"loss": 1 / step})
        tracker.publish()
    assert loss(store) == [(10, 0.1), (20, 0.05)]
    run = only_run(store)
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params == {
        "steps": "20",
        "augmentation.flip": "0.5",
        "augmentation.scale": "[0.5, 1.0]",
    }


def test_a_resumed_run_goes_on_in_the_same_run_of_mlflow_without_repeating_a_step(
    store: MlflowClient, tmp_path: Path
) -> None:
    storage = open_storage(tmp_path / "first")
    tracker = open_trackers(["mlflow"], storage, config=CONFIG, start_step=1)
    for step in (10, 20):
        tracker.write(step, {"loss": float(step)})
    tracker.close(failed=True)
    run = only_run(store)
    assert run.info.status == "FAILED"
    with open_trackers(["mlflow"], storage, config=CONFIG, start_step=11) as tracker:
        for step in (20, 30):
            tracker.write(step, {"loss": float(step)})
    assert json.loads((tmp_path / "first" / "mlflow.json").read_text()) == {"id": run.info.run_id}
    assert loss(store) == [(10, 10.0), (20, 20.0), (30, 30.0)]
    assert only_run(store).info.status == "FINISHED"


def test_a_server_that_does_not_answer_leaves_training_and_its_other_curves_alone(
    offline: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    storage = open_storage(tmp_path / "first")
    with open_trackers(["mlflow"], storage, config=CONFIG, start_step=1) as tracker:
        for step in (1, 2):
            tracker.write(step, {"loss": 0.5})
            tracker.publish()
    assert capsys.readouterr().err.count("MLflow: MlflowException") == 1
    assert [point["step"] for point in read_curves(storage)] == [1, 2]


def test_without_the_address_of_a_server_training_is_refused_before_it_begins(
    offline: None, tmp_path: Path
) -> None:
    with pytest.raises(LookalikeError, match="MLFLOW_TRACKING_URI"):
        open_trackers(["mlflow"], open_storage(tmp_path / "run"), config={}, start_step=1)
    assert not (tmp_path / "run").exists()
