"""Bodies of searches that no client sends: malformed, endless, or as deep as they are long.

Each is built by code, with its content type and what comes of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.answers import PHOTO

BOUNDARY = b"a-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY.decode()}"
JSON = "application/json"
_IMAGE_HEAD = b'Content-Disposition: form-data; name="image"; filename="photo.jpg"'
_MANY = 20_000_000

type Part = tuple[bytes, bytes]


@dataclass(frozen=True)
class Hostile:
    """A body.

    Attributes:
        build: returns its bytes.
        outcome: the reason of its refusal; "" where a photo in it is searched for.
        content_type: as it is sent.
    """

    build: Callable[[], bytes]
    outcome: str
    content_type: str = FORM


IMAGE: Part = (_IMAGE_HEAD, PHOTO)


def field(name: bytes, value: bytes) -> Part:
    return b'Content-Disposition: form-data; name="' + name + b'"', value


def form(*parts: Part, end: bool = True, boundary: bytes = BOUNDARY) -> bytes:
    body = b"".join(
        b"--" + boundary + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts
    )
    return body + (b"--" + boundary + b"--\r\n" if end else b"")


def member(text: bytes) -> bytes:
    """An object of a photo that is none, and one more member."""
    return b'{"image": {"content": "AAAA"}, ' + text + b"}"


def content(text: bytes) -> bytes:
    return b'{"image": {"content": "' + text + b'"}}'


FORMS: dict[str, Hostile] = {
    "no boundary": Hostile(lambda: form(IMAGE), "FORM_INVALID", "multipart/form-data"),
    "another boundary": Hostile(
        lambda: form(IMAGE), "FORM_INVALID", "multipart/form-data; boundary=other"
    ),
    "a boundary of 5,000 characters": Hostile(
        lambda: form(IMAGE, boundary=b"b" * 5_000),
        "FORM_INVALID",
        f"multipart/form-data; boundary={'b' * 5_000}",
    ),
    "a boundary and nothing else": Hostile(lambda: b"--" + BOUNDARY, "FORM_INVALID"),
    "no end": Hostile(lambda: form(IMAGE, end=False), "FORM_INVALID"),
    "cut off in a head": Hostile(lambda: form(IMAGE)[:60], "FORM_INVALID"),
    "10,000 fields": Hostile(
        lambda: form(IMAGE, *[field(b"facets", b"x")] * 10_000), "PAYLOAD_TOO_LARGE"
    ),
    "10,000 photos": Hostile(lambda: form(*[IMAGE] * 10_000)[:27_000_000], "PAYLOAD_TOO_LARGE"),
    "400,000 empty fields": Hostile(
        lambda: form(*[field(b"a", b"")] * 400_000), "PAYLOAD_TOO_LARGE"
    ),
    "a field twice": Hostile(
        lambda: form(IMAGE, field(b"pageSize", b"1"), field(b"pageSize", b"2")), "FIELD_INVALID"
    ),
    "forms in a form": Hostile(
        lambda: form(
            (
                b"Content-Type: multipart/mixed; boundary=inner\r\n" + _IMAGE_HEAD,
                form(IMAGE, boundary=b"inner"),
            )
        ),
        "IMAGE_TYPE_UNSUPPORTED",
    ),
    "a head of a megabyte": Hostile(
        lambda: form((_IMAGE_HEAD + b"\r\nX-A: " + b"a" * 1_000_000, PHOTO)), "PAYLOAD_TOO_LARGE"
    ),
    "a million heads": Hostile(
        lambda: form((_IMAGE_HEAD + b"\r\nX-A: a" * 1_000_000, PHOTO)), "PAYLOAD_TOO_LARGE"
    ),
    "a name of a megabyte": Hostile(
        lambda: form(IMAGE, field(b"n" * 1_000_000, b"1")), "PAYLOAD_TOO_LARGE"
    ),
    "a field of 20 megabytes": Hostile(
        lambda: form(IMAGE, field(b"filter", b"a" * _MANY)), "PAYLOAD_TOO_LARGE"
    ),
    "a filter of 400,000 characters": Hostile(
        lambda: form(IMAGE, field(b"filter", b"a" * 400_000)), "FILTER_INVALID"
    ),
    "a filter of 4,900 parentheses": Hostile(
        lambda: form(IMAGE, field(b"filter", b"(" * 4_900)), "FILTER_INVALID"
    ),
    "a mask of 4,900 dots": Hostile(
        lambda: form(IMAGE, field(b"fields", b"." * 4_900)), "FIELD_MASK_INVALID"
    ),
    "a polygon of 100,000 brackets": Hostile(
        lambda: form(IMAGE, field(b"boundingPoly", b"[" * 100_000)), "POLYGON_INVALID"
    ),
    "a polygon of infinite coordinates": Hostile(
        lambda: form(IMAGE, field(b"boundingPoly", b'{"vertices": [{"x": 1e999}, {}, {}]}')),
        "POLYGON_INVALID",
    ),
    "a polygon of a coordinate of 4,000 digits": Hostile(
        lambda: form(
            IMAGE, field(b"boundingPoly", b'{"vertices": [{"x": 1' + b"0" * 4_000 + b"}, {}, {}]}")
        ),
        "POLYGON_INVALID",
    ),
    "a number of 400,000 digits": Hostile(
        lambda: form(IMAGE, field(b"pageSize", b"1" * 400_000)), "FIELD_INVALID"
    ),
    "a number of a million zeros": Hostile(
        lambda: form(IMAGE, field(b"pageSize", b"1e999999")), "FIELD_INVALID"
    ),
    "carriage returns": Hostile(
        lambda: form((_IMAGE_HEAD, b"\r" * 19_000_000)), "IMAGE_TYPE_UNSUPPORTED"
    ),
    "boundaries that nearly are": Hostile(
        lambda: form((_IMAGE_HEAD, (b"\r\n--" + BOUNDARY[:-1]) * 1_300_000)),
        "IMAGE_TYPE_UNSUPPORTED",
    ),
    "line ends and nothing else": Hostile(lambda: b"\n" * _MANY, "FORM_INVALID"),
    "20 megabytes before the first boundary": Hostile(
        lambda: b"x" * _MANY + form(IMAGE), "FORM_INVALID"
    ),
    "a preamble of 20 megabytes": Hostile(lambda: b"x" * _MANY + b"\r\n" + form(IMAGE), ""),
    "20 megabytes after the last boundary": Hostile(lambda: form(IMAGE) + b"x" * _MANY, ""),
    "heads that go on for 860 lines": Hostile(
        lambda: form(*[((b"A" * 2_500 + b":x" + b"\r\n y" * 860 + b"\r\n") * 7, b"")] * 650),
        "FORM_INVALID",
    ),
    "a head that is no UTF-8": Hostile(
        lambda: form(IMAGE, field(b"\xff" * 4_000, b"")), "FORM_INVALID"
    ),
    "a part whose length lies": Hostile(
        lambda: form((_IMAGE_HEAD + b"\r\nContent-Length: 3", PHOTO)), "FORM_INVALID"
    ),
    "another encoding of a part": Hostile(
        lambda: form((_IMAGE_HEAD + b"\r\nContent-Transfer-Encoding: base64", PHOTO)), ""
    ),
    "text that is no UTF-8": Hostile(
        lambda: form(IMAGE, field(b"filter", b"\xff\xfe")), "FILTER_INVALID"
    ),
}

OBJECTS: dict[str, Hostile] = {
    name: Hostile(build, outcome, JSON)
    for name, (build, outcome) in {
        "100,000 brackets": (lambda: b"[" * 100_000, "JSON_INVALID"),
        "100,000 brackets, closed": (lambda: b"[" * 50_000 + b"]" * 50_000, "JSON_INVALID"),
        "objects in 90,000 objects": (lambda: b'{"image":' * 90_000, "JSON_INVALID"),
        "a filter in 40,000 lists": (
            lambda: member(b'"filter": ' + b"[" * 40_000 + b"]" * 40_000),
            "JSON_INVALID",
        ),
        "a filter in 900 lists": (
            lambda: member(b'"filter": ' + b"[" * 900 + b"]" * 900),
            "FIELD_INVALID",
        ),
        "9 million empty lists": (
            lambda: member(b'"facets": [' + b"[]," * 9_000_000 + b"1]"),
            "JSON_INVALID",
        ),
        "9 million empty objects": (
            lambda: member(b'"facets": [' + b"{}," * 9_000_000 + b"1]"),
            "JSON_INVALID",
        ),
        "13 million numbers": (
            lambda: member(b'"facets": [' + b"1," * 13_000_000 + b"1]"),
            "JSON_INVALID",
        ),
        "a million members": (
            lambda: b"{" + b",".join(b'"%d":1' % n for n in range(1_000_000)) + b"}",
            "JSON_INVALID",
        ),
        "a number of 20 million digits": (
            lambda: member(b'"pageSize": ' + b"9" * _MANY),
            "JSON_INVALID",
        ),
        "a number of 4,000 digits": (
            lambda: member(b'"pageSize": ' + b"9" * 4_000),
            "FIELD_INVALID",
        ),
        "a number beyond all": (lambda: member(b'"pageSize": 1e999'), "FIELD_INVALID"),
        "NaN": (lambda: member(b'"scoreThreshold": NaN'), "JSON_INVALID"),
        "half a letter": (lambda: member(b'"productSet": "\\ud800"'), "FIELD_INVALID"),
        "half a letter for a name": (lambda: member(b'"\\udfff": 1'), "FIELD_UNKNOWN"),
        "half a letter for base64": (lambda: content(b"\\ud800"), "FIELD_INVALID"),
        "a name twice": (
            lambda: b'{"image": 1, "image": {"content": "AAAA"}}',
            "IMAGE_TYPE_UNSUPPORTED",
        ),
        "20 million signs that are no base64": (lambda: content(b"!" * _MANY), "FIELD_INVALID"),
        "13 million letters that are no base64": (
            lambda: content("é".encode() * 13_000_000),
            "FIELD_INVALID",
        ),
        "27 million spaces for base64": (lambda: content(b" " * 27_000_000), "IMAGE_EMPTY"),
        "27 million of padding": (lambda: content(b"=" * 27_000_000), "IMAGE_EMPTY"),
        "9 million lines of one letter": (
            lambda: content(b"A\\n" * 9_000_000),
            "IMAGE_TYPE_UNSUPPORTED",
        ),
        "base64 of 20 million bytes that are no photo": (
            lambda: content(b"AAAA" * 6_600_000),
            "IMAGE_TYPE_UNSUPPORTED",
        ),
        "27 million spaces": (lambda: b" " * 27_000_000 + b"1", "JSON_INVALID"),
        "UTF-32": (lambda: '{"image": {}}'.encode("utf-32"), "FIELD_INVALID"),
        "null": (lambda: b"null", "JSON_INVALID"),
    }.items()
}

BODIES = FORMS | OBJECTS
