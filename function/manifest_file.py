"""A manifest from its file: every field is of its type and within its bounds, or is named."""

import json
import re
from dataclasses import MISSING, fields, is_dataclass
from itertools import pairwise
from math import isfinite
from operator import attrgetter
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .calibration import Curve
from .errors import ReleaseError
from .manifest import MANIFEST, SCHEMA_VERSION, Manifest, is_release_id

_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest; ReleaseError names the field, what was expected and what was found.

    Fields that this version does not know are ignored: a publisher may add some.
    """
    try:
        content = json.loads(data)
    except ValueError as error:
        raise ReleaseError(f"{MANIFEST}: expected JSON, found something else.") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise ReleaseError(
            f"{MANIFEST}: schema_version: expected {SCHEMA_VERSION}, found {version!r}. "
            "Deploy the function and publish the release from the same version of the project.",
            fault="SCHEMA_UNSUPPORTED",
        )
    manifest: Manifest = _decoded(Manifest, content, "")
    _check(is_release_id(manifest.release_id), "release_id", "letters, digits, '._-'", manifest)
    _check(manifest.model.embedding_dim > 0, "model.embedding_dim", "1 or more", manifest)
    _check(manifest.model.image_size > 0, "model.image_size", "1 or more", manifest)
    _check(manifest.golden.photos > 0, "golden.photos", "1 or more", manifest)
    images = manifest.counts.images
    _check(manifest.index.rows == images, "index.rows", f"counts.images, {images}", manifest)
    if manifest.calibration is not None:
        _check_curve(manifest.calibration.first, "calibration.first")
        _check_curve(manifest.calibration.later, "calibration.later")
    for name, info in manifest.files.items():
        if "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise bad_field("files", "names inside the release", name)
        if not _SHA256.fullmatch(info.sha256) or info.size < 0:
            raise bad_field(f"files.{name}", "a SHA-256 and a size", info)
    return manifest


def _check(holds: bool, field: str, expected: str, manifest: Manifest) -> None:
    if not holds:
        raise bad_field(field, expected, attrgetter(field)(manifest))


def _check_curve(curve: Curve, field: str) -> None:
    scores, probabilities = curve.scores, curve.probabilities
    rising = all(low < high for low, high in pairwise(scores))
    if not scores or not rising or not all(map(isfinite, scores)):
        raise bad_field(f"{field}.scores", "rising numbers", scores)
    within = all(0 <= probability <= 1 for probability in probabilities)
    falls = any(low > high for low, high in pairwise(probabilities))
    if len(probabilities) != len(scores) or not within or falls:
        expected = f"{len(scores)} numbers from 0 to 1 that never fall"
        raise bad_field(f"{field}.probabilities", expected, probabilities)


def bad_field(field: str, expected: str, found: object) -> ReleaseError:
    """Return the error for a field that holds something else than it must."""
    return ReleaseError(f"{MANIFEST}: {field}: expected {expected}; found {found!r}.")


def _decoded(kind: Any, value: Any, where: str) -> Any:
    """Return JSON `value` as `kind`.

    A dataclass, tuple[…, ...], dict[str, …], Literal, str, int, float, bool, Any, or one of these
    or None.
    """
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise bad_field(where, "an object", value)
        hints = get_type_hints(kind)
        parts = {}
        for field in fields(kind):
            name = f"{where}.{field.name}".lstrip(".")
            if field.name not in value and field.default is not MISSING:
                continue
            if field.name not in value:
                raise bad_field(name, "a value", None)
            parts[field.name] = _decoded(hints[field.name], value[field.name], name)
        return kind(**parts)  # type: ignore[operator]  # is_dataclass admits instances too
    if get_origin(kind) is UnionType:
        return None if value is None else _decoded(get_args(kind)[0], value, where)
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise bad_field(where, "an object", value)
        of = get_args(kind)[1]
        return {key: _decoded(of, item, f"{where}.{key}") for key, item in value.items()}
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise bad_field(where, "a list", value)
        of = get_args(kind)[0]
        return tuple(_decoded(of, item, f"{where}.{at}") for at, item in enumerate(value))
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise bad_field(where, f"one of {', '.join(get_args(kind))}", value)
        return value
    if kind is float and type(value) is int:
        return float(value)
    if kind is not Any and type(value) is not kind:
        raise bad_field(where, f"{kind.__name__}", value)
    return value
