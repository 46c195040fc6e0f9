"""Whatever shape a shop's catalogue has, it becomes the same photos."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from function.storage import open_storage
from trainer.data.catalog import open_catalog
from trainer.data.records import Photo
from trainer.errors import CatalogError

SHOES = {
    "product_id": "42",
    "image": "images/a.jpg",
    "image_url": "https://shop.example/a.jpg",
    "title": "Røde sko, 37½ 👟",
    "category": "apparel",
    "price": "19.90 €",
    "labels": "color=red; color=white;style=kids",
    "product-set": "summer; on sale;",
    "role": "catalog",
    "split": "test",
}
SHOES_PHOTO = Photo(
    product_id="42",
    image="images/a.jpg",
    image_url="https://shop.example/a.jpg",
    title="Røde sko, 37½ 👟",
    category="apparel",
    price="19.90 €",
    labels=(("color", "red"), ("color", "white"), ("style", "kids")),
    product_sets=("summer", "on sale"),
    role="catalog",
    split="test",
    row=2,
)


def write_csv(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def refusal(path: Path | str) -> str:
    with pytest.raises(CatalogError) as caught:
        open_catalog(path)
    return str(caught.value)


def test_a_folder_with_metadata_gives_every_column(shop: Callable[..., Path]) -> None:
    catalog = open_catalog(shop([SHOES]))
    assert catalog.photos == (SHOES_PHOTO,)
    assert catalog.name == "shop"
    assert catalog.read(catalog.photos[0]).startswith(b"\xff\xd8")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
@pytest.mark.parametrize("top", ["", "./", "pack/", "./pack/"])
def test_a_tar_reads_like_its_folder(
    shop: Callable[..., Path], tmp_path: Path, suffix: str, top: str
) -> None:
    folder = shop([SHOES, SHOES | {"image": "images/ünïcode 子.jpg"}])
    path = write_tar(
        tmp_path / f"pack{suffix}",
        {
            top + file.relative_to(folder).as_posix(): file.read_bytes()
            for file in sorted(folder.rglob("*.*"))
        },
        "w" if suffix == ".tar" else "w:gz",
    )
    from_tar, from_folder = open_catalog(path), open_catalog(folder)
    assert from_tar.name == "pack"
    assert from_tar.photos == from_folder.photos
    assert from_tar.fingerprint == from_folder.fingerprint
    assert [from_tar.read(photo) for photo in from_tar.photos] == [
        from_folder.read(photo) for photo in from_folder.photos
    ]


def test_a_csv_json_lines_or_parquet_file_lists_the_same(
    shop: Callable[..., Path], tmp_path: Path
) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    folder = shop([SHOES])
    (folder / "listing.csv").write_bytes((folder / "metadata.csv").read_bytes())
    rows = [
        SHOES | {"labels": {"color": ["red", "white"], "style": "kids"}, "product_id": 42},
        SHOES
        | {
            "labels": ["color=red", "color=white", "style=kids"],
            "product-set": ["summer", "on sale"],
            "image": "images/b.jpg",
        },
    ]
    (folder / "listing.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    pairs = [("color", "red"), ("color", "white"), ("style", "kids")]
    table = arrow.table(
        {name: [value] for name, value in SHOES.items() if name != "labels"}
        | {"labels": arrow.array([pairs], type=arrow.map_(arrow.string(), arrow.string()))}
    )
    parquet.write_table(table, folder / "listing.parquet")

    def fields(name: str) -> list[Photo]:
        return [
            Photo(**{key: getattr(photo, key) for key in Photo.__slots__ if key != "row"})
            for photo in open_catalog(folder / name).photos
        ]

    expected = fields("listing.csv")
    assert fields("listing.parquet") == expected
    assert fields("listing.jsonl")[:1] == expected
    assert [photo.row for photo in open_catalog(folder / "listing.jsonl").photos] == [1, 2]


def test_a_folder_of_folders_names_products(tmp_path: Path, photo: Callable[..., bytes]) -> None:
    for name in ("mug 1/b.JPG", "mug 1/a.png", "lämp/deep/c.webp", "mug 1/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(photo())
    for hidden in (".git/x.jpg", "mug 1/._a.jpg"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_bytes(b"no photo")
    photos = open_catalog(tmp_path).photos
    assert [(photo.product_id, photo.image, photo.row) for photo in photos] == [
        ("lämp", "lämp/deep/c.webp", 0),
        ("mug 1", "mug 1/a.png", 0),
        ("mug 1", "mug 1/b.JPG", 0),
    ]
    (tmp_path / "loose.jpg").write_bytes(photo())
    assert "loose.jpg lies in no product's folder" in refusal(tmp_path)


def test_spreadsheets_csv_is_read_with_its_mark_quotes_and_semicolons(tmp_path: Path) -> None:
    text = (
        "\ufeffSKU;Image-Path;Name\r\n"
        '7;bilder\\a.jpg;"Sofa ""Ida""; grau\r\nbreit"\r\n'
        "\r\n"
        "8;b.jpg;x\r\n"
    )
    photos = open_catalog(write_csv(tmp_path / "a.csv", text)).photos
    assert photos[0] == Photo("7", "bilder/a.jpg", title='Sofa "Ida"; grau\r\nbreit', row=2)
    assert photos[1].row == 4


def test_open_set_queries_need_no_product_but_others_do(tmp_path: Path) -> None:
    text = "id,image,role\n,a.jpg,Query\n,b.jpg,catalog\n,c.jpg,\n"
    message = refusal(write_csv(tmp_path / "a.csv", text))
    assert "2 problems" in message
    assert "row 3: product id: expected one" in message
    assert "row 4: product id: expected one" in message


def test_the_packs_own_columns_are_ignored_and_unknown_ones_named(tmp_path: Path) -> None:
    known = "path,product_id,variant,licence,source,width,height\na.jpg,1,v,l,s,2,3\n"
    assert len(open_catalog(write_csv(tmp_path / "a.csv", known)).photos) == 1
    message = refusal(write_csv(tmp_path / "b.csv", "id,image,colour\n1,a.jpg,red\n"))
    assert "unknown column 'colour'" in message
    assert "Columns that are read: product_id/product/id/sku/item_id; image/path" in message


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("image", "no column gives product_id: expected one of product_id, product, id, sku"),
        ("id", "no column gives image: expected one of image, path"),
        ("id,sku,image", "columns 'id' and 'sku' both give product_id: keep one"),
        ("id,image,image", "columns 'image' and 'image' both give image: keep one"),
    ],
)
def test_columns_that_do_not_fit_are_named(tmp_path: Path, header: str, message: str) -> None:
    row = ",".join("x" for _ in header.split(","))
    assert message in refusal(write_csv(tmp_path / "a.csv", f"{header}\n{row}\n"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,a.jpg,shelf,,", "role: expected catalog, query or nothing, found 'shelf'"),
        ("1,a.jpg,,valid,", "split: expected train, test or nothing, found 'valid'"),
        ("1,a.jpg,,,red", "labels: expected key=value;key=value, found 'red'"),
        ("1,a.jpg,,,=red", "labels: expected key=value;key=value, found '=red'"),
        ("1,first.jpg,,,", "image 'first.jpg' of product '1' repeats row 2"),
        ("1,./first.jpg,,,", "image 'first.jpg' of product '1' repeats row 2"),
        ("1,,,,", "expected a path or URI, found none"),
        ("1,https://x.example/a.jpg,,,", "download them, name the local copy here"),
        ("1,s3://bucket/a.jpg,,,", "expected a relative path, file:// or gs://"),
        ("1,../../etc/passwd,,,", "'../../etc/passwd' leaves the catalogue's folder"),
        ("1,a/../../b.jpg,,,", "leaves the catalogue's folder"),
        (r"1,..\..\b.jpg,,,", "leaves the catalogue's folder"),
        ("1,/etc/passwd,,,", "expected a relative path, found an absolute one"),
        (r"1,C:\photos\a.jpg,,,", "expected a relative path, found an absolute one"),
        ("1,gs://bucket,,,", "expected gs://bucket/object, found no object"),
        ("1,gs://bucket/../a,,,", "expected gs://bucket/object"),
        ("1,file://host/a.jpg,,,", "expected file:///absolute/path on this machine"),
    ],
)
def test_a_bad_row_is_named_with_what_was_expected(tmp_path: Path, row: str, message: str) -> None:
    text = f"id,image,role,split,labels\n1,first.jpg,,,\n{row}\n"
    found = refusal(write_csv(tmp_path / "a.csv", text))
    assert "a.csv: 1 problem\n  row 3: " in found
    assert message in found


def test_many_problems_are_told_together(tmp_path: Path) -> None:
    text = "id,image,role\n" + "".join(f"1,{n}.jpg,shelf\n" for n in range(25))
    message = refusal(write_csv(tmp_path / "a.csv", text))
    assert "25 problems" in message
    assert message.count("\n  row ") == 10
    assert message.endswith("… and 15 more")


def test_uris_are_read_where_they_point(
    tmp_path: Path, photo: Callable[..., bytes], gcs_emulator: str
) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    (elsewhere / "ä.jpg").write_bytes(photo(1))
    open_storage(gcs_emulator).write("photos/b.jpg", photo(2))
    uris = [(elsewhere / "ä.jpg").as_uri(), f"{gcs_emulator}/photos/b.jpg"]
    missing = f"{gcs_emulator}/photos/none.jpg"
    listing = tmp_path / "a.csv"
    write_csv(listing, "id,image\n" + "".join(f"1,{uri}\n" for uri in (*uris, missing)))
    catalog = open_catalog(listing)
    assert [catalog.read(found) for found in catalog.photos[:2]] == [photo(1), photo(2)]
    assert catalog.source.sizes([*uris, missing]) == [len(photo(1)), len(photo(2)), None]
    with pytest.raises(FileNotFoundError):
        catalog.read(catalog.photos[2])
    open_storage(gcs_emulator).delete("photos/b.jpg")
    assert catalog.read(catalog.photos[1]) == photo(2), "what was downloaded is kept"


def test_a_tar_gives_nothing_from_outside_itself(tmp_path: Path) -> None:
    listing = b"id,image\n1,file:///etc/passwd\n"
    tar = write_tar(tmp_path / "a.tar", {"metadata.csv": listing})
    assert "expected a path inside the tar" in refusal(tar)
    tar = write_tar(tmp_path / "b.tar", {"metadata.csv": listing, "../../etc/x.jpg": b"x"})
    assert "member '../../etc/x.jpg' lies outside the archive" in refusal(tar)
    tar = write_tar(tmp_path / "c.tar", {"metadata.csv": b"id,image\n1,../../etc/passwd\n"})
    assert "leaves the catalogue's folder" in refusal(tar)


def test_a_link_in_a_tar_is_no_photo(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        listing = tarfile.TarInfo("metadata.csv")
        listing.size = len(data := b"id,image\n1,passwd\n")
        tar.addfile(listing, io.BytesIO(data))
        link = tarfile.TarInfo("passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    catalog = open_catalog(tmp_path / "a.tar")
    with pytest.raises(FileNotFoundError, match="no file passwd"):
        catalog.read(catalog.photos[0])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.tar", b"no tar at all", "is no readable tar"),
        ("a.tar.gz", b"\x1f\x8b\x08\x00 broken", "is no readable tar"),
        ("a.parquet", b"PAR?", "is no readable Parquet file"),
        ("a.jsonl", b'{"id": "1", "image": "a.jpg"}\n{oops', "line 2 is no JSON"),
        ("a.jsonl", b"[1, 2]", "line 1: expected a JSON object"),
        ("a.csv", "id,image\n1,ä.jpg".encode("latin-1"), "line 2 is not UTF-8"),
        ("a.csv", b"id,image\n1,a.jpg,x", "row 2 has 3 cells, the header 2"),
        ("a.csv", b'id,image\n1,"a.jpg', "line 2: unexpected end of data"),
        ("a.csv", b"", "is empty: expected a header row"),
        ("a.csv", b"id,image\n", "lists no photo"),
        ("a.jsonl", b"\n", "lists no photo"),
        ("a.xlsx", b"", "expected a folder or tar with metadata.csv"),
    ],
)
def test_a_damaged_or_empty_file_is_refused(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    assert message in refusal(tmp_path / name)


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none")
    assert "lists no photo" in refusal(tmp_path)
    assert "a catalogue is a file or folder here or on gs://" in refusal("s3://bucket/a.csv")
    assert "found 0" in refusal(write_tar(tmp_path / "a.tar", {"a.jpg": b""}))


def test_the_fingerprint_follows_content_not_place(
    products: Callable[[int, int], Path], tmp_path: Path
) -> None:
    folder = products(3, 2)
    fingerprint = open_catalog(folder).fingerprint
    moved = folder.rename(tmp_path / "moved")
    catalog = open_catalog(moved)
    assert catalog.fingerprint == fingerprint
    assert catalog.subset(catalog.photos[1:]).fingerprint != fingerprint
    with (moved / "p0" / "0.jpg").open("ab") as file:
        file.write(b"\0")
    assert open_catalog(moved).fingerprint != fingerprint


def test_values_of_data_frames_become_text(tmp_path: Path) -> None:
    rows = [
        {"id": 7.0, "image": "a.jpg", "price": 9.5, "title": None},
        {"id": 8, "image": "b.jpg", "price": float("nan"), "labels": [{"key": "k", "value": "v"}]},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = open_catalog(tmp_path / "a.jsonl").photos
    assert (first.product_id, first.price, first.title) == ("7", "9.5", "")
    assert (second.product_id, second.price, second.labels) == ("8", "", (("k", "v"),))
    (tmp_path / "b.jsonl").write_text('{"id": ["x"], "image": "a.jpg"}')
    assert "row 1: product_id: expected text, found list" in refusal(tmp_path / "b.jsonl")
