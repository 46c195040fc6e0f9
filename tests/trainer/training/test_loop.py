import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from function.storage import Storage, open_storage
from tests.trainer.training.arrays import everything
from trainer.data.augmentation import Augmentation
from trainer.data.catalog import open_catalog
from trainer.data.records import Catalog
from trainer.errors import ExperimentChanged, LookalikeError, NotFinite, TrainingError
from trainer.model.parameters import to_flat
from trainer.tracking import TrackerName, read_curves
from trainer.training import loop
from trainer.training.checkpoint import Checkpoints
from trainer.training.experiment import Experiment
from trainer.training.initial import initial_config, initial_model
from trainer.training.loop import train
from trainer.training.run import Run
from trainer.training.state import TrainState
from trainer.training.step import StepMetrics, TrainingStep

Start = Callable[[str, Experiment], "subprocess.Popen[str]"]


def same(first: str, second: str) -> bool:
    """Whether two runs ended with the same bits."""
    flats = [to_flat(Run(url).load()[0]) for url in (first, second)]
    return all(np.array_equal(flats[0][name], flats[1][name]) for name in flats[0])


def wait_for_checkpoint(storage: Storage, process: "subprocess.Popen[str]") -> None:
    """Return as soon as one is complete."""
    while not any(
        re.fullmatch(r"checkpoints/\d+/commit_success.txt", name) for name in storage.list()
    ):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> str:
    """A run, trained without interruption."""
    url = str(tmp_path_factory.mktemp("trained") / "run")
    train(open_catalog(shop), url, LONG)
    return url


LONG = Experiment(
    architecture="resnet18",
    width=4,
    embedding_dim=16,
    image_size=32,
    steps=48,
    holdout=0.34,
    products_per_batch=4,
    photos_per_product=3,
    learning_rate=1e-2,
    augmentation=Augmentation(scale=(0.8, 1.0), brightness=0.1, contrast=0.1, saturation=0.1),
    head_learning_rate_factor=1.0,
    warmup_steps=2,
    frozen_stages=2,
    checkpoint_every=4,
    log_every=1,
)


def test_the_loss_falls_and_the_curves_can_be_read(trained: str) -> None:
    curves = EventAccumulator(f"{trained}/logs").Reload()
    assert set(curves.Tags()["scalars"]) == {
        "loss",
        "gradient_norm",
        "learning_rate",
        "positive_similarity",
        "negative_similarity",
        "active_share",
        "embedding_rank",
        "photos_per_second",
        "steps_per_second",
        "input_wait",
        "device_wait",
    }
    points = curves.Scalars("loss")
    assert [point.step for point in points] == list(range(1, 49))
    losses = [point.value for point in points]
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])


def test_a_complete_run_has_nothing_to_do(trained: str, catalog: Catalog) -> None:
    summary = train(catalog, trained, LONG)
    assert summary.steps == summary.resumed_from == 48
    assert summary.images_per_second is None
    assert summary.final_loss is not None
    assert summary.to_dict()["seconds"] > 0


def test_a_changed_experiment_is_refused(trained: str, catalog: Catalog) -> None:
    with pytest.raises(ExperimentChanged, match="steps: 48 in the run, 60 asked"):
        train(catalog, trained, Experiment.from_dict({**LONG.to_dict(), "steps": 60}))


@pytest.mark.parametrize("place", ["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def test_training_killed_and_started_again_ends_with_the_same_bits(
    place: str,
    tmp_path: Path,
    catalog: Catalog,
    trained: str,
    start_training: Start,
    request: pytest.FixtureRequest,
) -> None:
    root = str(tmp_path) if place == "folder" else request.getfixturevalue("gcs_emulator")
    url = f"{root}/runs/killed"
    process = start_training(url, LONG)
    wait_for_checkpoint(open_storage(url), process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    summary = train(catalog, url, LONG)
    assert summary.resumed_from is not None
    assert 0 < summary.resumed_from < 48
    assert summary.steps == 48
    assert same(url, trained)


@contextmanager
def told_at_the_fourth_step() -> Iterator[Callable[[], str | None]]:
    """In the place of `interruption`: a signal that comes in the fourth step of a call."""
    asked = count(2)  # the first step begins without it
    yield lambda: "SIGTERM" if next(asked) >= 4 else None


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "arcface", "centres_per_class": 2, "average_decay": 0.99},
        {"loss": "contrastive", "memory_size": 30, "memory_warmup_steps": 2, "gradient_chunks": 3},
        pytest.param({"average_decay": 0.99, "dtype": "bfloat16"}, marks=pytest.mark.slow),
    ],
    ids=["proxies and average", "memory in parts", "average in bfloat16"],
)
def test_every_array_of_a_resumed_run_is_that_of_one_trained_straight(
    changes: dict[str, Any],
    tmp_path: Path,
    catalog: Catalog,
    head_only: Callable[..., Experiment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = head_only(steps=9, checkpoint_every=100, **changes)
    straight, resumed = str(tmp_path / "straight"), str(tmp_path / "resumed")
    train(catalog, straight, asked)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "interruption", told_at_the_fourth_step)
        with pytest.raises(TrainingError, match="SIGTERM stopped training after step 5 of 9"):
            train(catalog, resumed, asked)
    assert train(catalog, resumed, asked).resumed_from == 5
    expected, found = everything(straight, asked), everything(resumed, asked)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(found[name], array) for name, array in expected.items())


def test_short_calls_tell_the_speed_that_they_measured_and_no_other(
    tmp_path: Path, catalog: Catalog, head_only: Callable[..., Experiment]
) -> None:
    asked = {"log_every": 1}
    told = {}
    for number in (1, 2, 3):
        url = str(tmp_path / str(number))
        told[number] = train(catalog, url, head_only(steps=number, **asked))
        speeds = [point.get("photos_per_second") for point in read_curves(open_storage(url))]
        # What is not known is left out of a point, and the speed of three steps is that of one.
        speed = told[number].images_per_second
        assert [known for known in speeds if known is not None] == ([speed] if speed else [])
    assert told[1].images_per_second is None
    assert told[2].images_per_second is None
    speed = told[3].images_per_second
    assert speed is not None
    # The interval between two looks holds a step, and is a part of the training.
    assert 12 / told[3].seconds < speed


def test_the_bar_tells_how_fast_it_goes_and_what_is_waited_for(
    tmp_path: Path,
    catalog: Catalog,
    head_only: Callable[..., Experiment],
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(catalog, str(tmp_path / "run"), head_only(steps=5, log_every=2))
    told = " ".join(capsys.readouterr().err.split())
    speed = r"loss [\d.]+ · [\d,]+ photos/s · [\d.]+ steps/s · waits: input \d+%, device \d+%"
    assert re.search(speed, told), told


def test_a_profile_is_written_where_it_is_asked_for(
    tmp_path: Path, catalog: Catalog, head_only: Callable[..., Experiment]
) -> None:
    url = str(tmp_path / "run")
    train(catalog, url, head_only(steps=16), profile=True)
    written = open_storage(url).list("profile")
    assert any(name.endswith(".xplane.pb") for name in written)
    assert any(name.endswith("perfetto_trace.json.gz") for name in written)


def test_an_unknown_option_of_the_loss_is_named_before_photos_are_read(
    tmp_path: Path, catalog: Catalog, head_only: Callable[..., Experiment]
) -> None:
    url = tmp_path / "run"
    with pytest.raises(LookalikeError, match="has no option 'gamma'"):
        train(catalog, str(url), head_only(loss_options={"gamma": 2.0}))
    assert not url.exists()


@pytest.mark.parametrize("tracker", ["wandb", "mlflow"])
def test_a_tracker_that_cannot_be_opened_is_named_before_photos_are_read(
    tracker: TrackerName,
    tmp_path: Path,
    catalog: Catalog,
    head_only: Callable[..., Experiment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = tmp_path / "run"
    monkeypatch.setitem(sys.modules, "wandb", None)  # type: ignore[arg-type]
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    told = {"wandb": "its package", "mlflow": "the address of a tracking server"}
    with pytest.raises(LookalikeError, match=f"expected {told[tracker]}"):
        train(catalog, str(url), head_only(), trackers=[tracker])
    assert not url.exists()


def test_parts_of_a_batch_are_divided_among_the_devices_before_photos_are_read(
    tmp_path: Path,
    catalog: Catalog,
    head_only: Callable[..., Experiment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = tmp_path / "run"
    monkeypatch.setattr(jax, "devices", lambda: jax.local_devices() * 4)
    with pytest.raises(TrainingError, match="found 12 photos in 2 parts of 6"):
        train(catalog, str(url), head_only(gradient_chunks=2))
    assert not url.exists()


def test_sigterm_saves_and_leaves_and_the_same_command_goes_on(
    tmp_path: Path, catalog: Catalog, trained: str, start_training: Start
) -> None:
    url = str(tmp_path / "run")
    process = start_training(url, LONG)
    wait_for_checkpoint(open_storage(url), process)
    process.terminate()
    # What a machine that is taken away leaves it.
    message = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    found = re.search(r"SIGTERM stopped training after step (\d+) of 48\. It is saved", message)
    assert found, message
    assert train(catalog, url, LONG).resumed_from == int(found[1])
    assert same(url, trained)
    points = EventAccumulator(f"{url}/logs").Reload().Scalars("loss")
    steps = [point.step for point in points]
    assert steps == sorted(set(steps)), "points written before the interruption come twice"


def test_while_the_first_step_compiles_a_signal_acts_as_it_would_have(
    tmp_path: Path,
    catalog: Catalog,
    head_only: Callable[..., Experiment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, handlers = loop.make_step, []

    def watched(*of: Any) -> TrainingStep:
        step = make(*of)

        def watched_step(*inputs: Any) -> tuple[TrainState, StepMetrics]:
            handlers.append(signal.getsignal(signal.SIGTERM))
            return step(*inputs)

        return watched_step

    monkeypatch.setattr(loop, "make_step", watched)
    before = signal.getsignal(signal.SIGTERM)
    train(catalog, str(tmp_path / "run"), head_only(steps=3))
    assert [handler == before for handler in handlers] == [True, False, False]
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_last_checkpoint_is_committed_waits_for_it_and_changes_nothing(
    number: signal.Signals,
    tmp_path: Path,
    catalog: Catalog,
    head_only: Callable[..., Experiment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave = Checkpoints.__exit__
    told = []

    def told_while_leaving(self: Checkpoints, *error: Any) -> None:
        if not told:
            told.append(number)
            signal.raise_signal(number)
        leave(self, *error)

    def as_it_would_have(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(Checkpoints, "__exit__", told_while_leaving)
    url = str(tmp_path / "run")
    before = signal.signal(number, as_it_would_have)
    try:
        summary = train(catalog, url, head_only(steps=3))
        assert told
        assert signal.getsignal(number) is as_it_would_have
    finally:
        signal.signal(number, before)
    assert summary.steps == Run(url).load()[1] == 3
    # What would go on after training, as a sweep, leaves instead.
    with pytest.raises(TrainingError, match=f"^{number.name} came as training ended"):
        summary.check_not_interrupted()


# What Orbax leaves when it is killed: elsewhere than under the final name on a file system, which
# can rename; without the mark of completion on object storage, which cannot.
@pytest.mark.parametrize(
    ("place", "folder"), [("folder", "9.orbax-checkpoint-tmp"), ("bucket", "9")]
)
def test_what_an_interrupted_save_left_behind_is_ignored_and_removed(
    place: str,
    folder: str,
    tmp_path: Path,
    catalog: Catalog,
    head_only: Callable[..., Experiment],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = str(tmp_path) if place == "folder" else request.getfixturevalue("gcs_emulator")
    url, asked = f"{root}/run", head_only(steps=8)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "interruption", told_at_the_fourth_step)
        with pytest.raises(TrainingError, match="after step 5 of 8"):
            train(catalog, url, asked)
    storage = open_storage(url)
    storage.write(f"checkpoints/{folder}/model/manifest.ocdbt", b"half")
    assert Run(url).load()[1] == 5
    assert storage.list(f"checkpoints/{folder}"), "reading may not remove: training may go on"
    assert train(catalog, url, asked).resumed_from == 5
    assert not storage.list(f"checkpoints/{folder}")


def test_a_rate_that_breaks_training_stops_it_with_the_last_good_checkpoint(
    tmp_path: Path, catalog: Catalog, head_only: Callable[..., Experiment]
) -> None:
    url = str(tmp_path / "run")
    # Decay by a multiple of each weight makes it grow: it overflows within some ten steps.
    absurd = head_only(learning_rate=1e4, weight_decay=1.0, checkpoint_every=1)
    with pytest.raises(NotFinite) as caught:
        train(catalog, url, absurd)
    found = re.search(
        r"broke at step (\d+): loss \S+, learning rate \S+; .*head/", str(caught.value)
    )
    assert found, str(caught.value)
    model, step = Run(url).load()
    assert step == int(found[1])
    assert all(np.isfinite(array).all() for array in to_flat(model).values())


def test_no_steps_keep_the_weights_and_need_no_training_products(
    tmp_path: Path, catalog: Catalog, experiment: Callable[..., Experiment]
) -> None:
    url, asked = str(tmp_path / "run"), experiment(steps=0, products_per_batch=1000)
    assert train(catalog, url, asked).steps == 0
    model, _ = Run(url).load()
    assert Run(url).experiment == asked
    assert model.head is None
    start = to_flat(initial_model(asked, initial_config(asked)))
    assert all(np.array_equal(array, start[name]) for name, array in to_flat(model).items())
    assert train(catalog, url, asked).resumed_from == 0


def test_too_few_products_are_said_before_anything_is_compiled(
    tmp_path: Path,
    catalog: Catalog,
    experiment: Callable[..., Experiment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "make_step", None)
    with pytest.raises(TrainingError, match="at least 9 products"):
        train(catalog, str(tmp_path / "run"), experiment(products_per_batch=9))
