"""Index, catalogue and manifest, beside a program: what makes a folder a release."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from function.manifest import (
    CATALOG,
    INDEX,
    MANIFEST,
    SCHEMA_VERSION,
    FileInfo,
    IndexInfo,
    IndexSetting,
    Manifest,
)
from function.release import LocalRelease, file_info
from trainer.release.calibration.fitting import DEFAULT_FALSE_MATCH_RATE
from trainer.release.contents import Contents
from trainer.release.identity import ID_DIGITS, new_release_id
from trainer.release.indexing import DEFAULT_RECALL
from trainer.release.program import Program
from trainer.release.questions import Answerable
from trainer.release.rows import Asked, FileRows, Rows
from trainer.release.tuning import Queries
from trainer.release.tuning_figure import TUNING, tuning_png


def assemble_release(
    program: Program,
    contents: Contents | Iterable[Contents],
    folder: Path,
    *,
    evaluation: Mapping[str, Any],
    recall: float = DEFAULT_RECALL,
    queries: Queries | None = None,
    answerable: Answerable | None = None,
    false_match_rate: float = DEFAULT_FALSE_MATCH_RATE,
    setting: IndexSetting | None = None,
    base: str = "",
    rows: Rows | None = None,
) -> LocalRelease:
    """Add index, catalogue and manifest to a folder that holds the program, and try it all.

    Args:
        program: what the folder holds.
        contents: what is to be found, by the program's vectors; in chunks, where `rows` is a place
            that takes them one by one.
        evaluation: as for `build_release`.
        recall, queries, setting: as for `build_index`.
        answerable: queries that calibrate the scores; None: they are not calibrated.
        false_match_rate: as for `calibrate`.
        base: the release that this one is an update of; "" for none.
        rows: where index and catalogue go; None: into the folder.

    Raises:
        ReleaseError: the release would not serve.
        DatabaseError: as `Rows.put`.
    """
    rows = rows or FileRows()
    asked = Asked(recall, queries, setting, answerable, false_match_rate)
    chunks = [contents] if isinstance(contents, Contents) else contents
    placed = rows.put(chunks, folder, asked)
    built = placed.built
    (folder / TUNING).write_bytes(tuning_png(built))
    files = {
        path.relative_to(folder).as_posix(): file_info(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    indexed = {name: files[name] for name in files if name.startswith((INDEX, CATALOG))}
    created = datetime.now(UTC)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        release_id="",
        created=created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        model=program.model,
        index=IndexInfo(
            placed.index_id or _files_id(indexed),
            placed.counts.images,
            built.target_recall_at_10,
            built.chosen,
            built.curve,
        ),
        counts=placed.counts,
        golden=program.golden,
        evaluation=dict(evaluation),
        files=files,
        int8=program.int8,
        calibration=placed.calibration,
        base=base,
    )
    # Equal ids therefore mean equal bytes, even of two publishers in the same millisecond.
    content = hashlib.sha256(manifest.to_json()).hexdigest()
    manifest = replace(manifest, release_id=new_release_id(created, content))
    (folder / MANIFEST).write_bytes(manifest.to_json())
    release = LocalRelease(manifest, folder)
    rows.check(release)
    return release


def _files_id(files: Mapping[str, FileInfo]) -> str:
    content = json.dumps({name: asdict(info) for name, info in files.items()}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:ID_DIGITS]
