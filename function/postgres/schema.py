"""The tables of a release in PostgreSQL: what a column holds, and how a loader makes them.

Each release is a schema (a namespace of the database) of its own, named by the release's id: a
query names it in full, so that connections serve any release, and dropping it prunes the release.
Which release is current is told by the pointer on storage, never by the database.

A loader makes the namespace and `tables`, COPYs rows into them, then creates the `indexes`, which
takes a tenth of the time of keeping them up row by row, and at last writes the one line of table
`release`: a release without it is unfinished, and no function serves it.

    release    one line: what a function compares with the manifest before it serves
    product    one line for each product, as table `product` of `function/file_catalog.py`
    image      one line for each photo: the index's rows, as `image` there, and their vectors
    term       what products can be found by: labels, categories and product sets, by number

A product's `terms` are the numbers of all that it can be found by (`catalog.terms_of`). They stand
beside the vectors too, for a filter is then answered from one table and one row. Text is compared
by its bytes (COLLATE "C"), which is the order of its code points.

Nothing here imports psycopg: statements are text. The only names that are put into them are those
of releases, checked by `namespace`; all else are parameters.
"""

from dataclasses import dataclass

from ..errors import ReleaseError
from ..manifest import is_release_id

# Raised by every change that a function of the version before would misread.
SCHEMA_VERSION = 1

# PostgreSQL cuts longer names off without an error.
_MAX_NAME_BYTES = 63


@dataclass(frozen=True)
class AccessMethod:
    """A kind of index over the vectors, and what belongs to it.

    Attributes:
        name: as pg_am has it.
        extension: what brings it.
        vector_type: the column's, to be followed by (dim).
        operator_class: by which it orders; `<#>` is the negative inner product of all.
    """

    name: str
    extension: str
    vector_type: str
    operator_class: str


# Half precision: unit vectors of 512 numbers then fit into the row itself (a page holds them
# beside their neighbours' numbers), and the graph takes half the memory.
HNSW = AccessMethod("hnsw", "vector", "halfvec", "halfvec_ip_ops")
# AlloyDB's. Its documentation names no other column type.
SCANN = AccessMethod("scann", "alloydb_scann", "vector", "dot_product")

# The first that a server has is taken.
ACCESS_METHODS = (SCANN, HNSW)

# Answers the names of extensions that this server could create, of those asked for.
AVAILABLE_EXTENSIONS = "SELECT name FROM pg_available_extensions WHERE name = ANY(%s)"


def access_method(name: str) -> AccessMethod:
    """Return the access method of that name; ReleaseError where it is none of ours."""
    for method in ACCESS_METHODS:
        if method.name == name:
            return method
    known = ", ".join(method.name for method in ACCESS_METHODS)
    raise ReleaseError(
        f"release.access_method: expected one of {known}; found {name!r}. Deploy the function and "
        "publish the release from the same version of the project."
    )


def namespace(release_id: str) -> str:
    """Return the release's schema, quoted; ReleaseError where the id could be something else."""
    if not is_release_id(release_id) or len(release_id) > _MAX_NAME_BYTES:
        raise ReleaseError(
            f"{release_id[:100]!r} cannot name a release in PostgreSQL: expected at most "
            f"{_MAX_NAME_BYTES} letters, digits, '._-'."
        )
    return f'"{release_id}"'


def tables(release_id: str, method: AccessMethod, dim: int) -> list[str]:
    """Return the statements that make a release's empty tables, in order; not their namespace.

    Args:
        release_id: names the namespace, which exists.
        method: of the index that is to come.
        dim: length of the vectors.
    """
    schema = namespace(release_id)
    return [
        f"""
CREATE TABLE {schema}.release (
    schema_version integer NOT NULL,   -- SCHEMA_VERSION of the loader
    access_method text NOT NULL,       -- name of the vectors' AccessMethod
    dim integer NOT NULL,              -- length of the vectors
    products bigint NOT NULL,          -- lines of `product`: the manifest's counts
    images bigint NOT NULL,            -- lines of `image`
    index_id text NOT NULL             -- the manifest's index.index_id
)""",
        f"""
CREATE TABLE {schema}.term (
    number integer NOT NULL,           -- 0, 1, 2, … as a loader met them
    kind text COLLATE "C" NOT NULL,    -- 'label', 'category' or 'product set'
    key text COLLATE "C" NOT NULL,     -- of the label; else empty
    value text COLLATE "C" NOT NULL,   -- of the label; else the category or the set
    products bigint NOT NULL           -- how many products have it
)""",
        f"""
CREATE TABLE {schema}.product (
    number bigint NOT NULL,            -- 0, 1, 2, … in the publisher's order
    id text COLLATE "C" NOT NULL,
    title text NOT NULL,
    category text NOT NULL,
    price text NOT NULL,
    labels json NOT NULL,              -- list of [key, value] pairs, in the publisher's order
    product_sets json NOT NULL,        -- list of names
    terms integer[] NOT NULL           -- term.number of each it can be found by, ascending
)""",
        f"""
CREATE TABLE {schema}.image (
    number bigint NOT NULL,            -- the row of the index: 0, 1, 2, …
    product bigint NOT NULL,           -- product.number
    picture bigint NOT NULL,           -- first row that shows the same picture; its own if none
    image_id text COLLATE "C" NOT NULL, -- unique within the product
    url text NOT NULL,
    thumbnail_url text NOT NULL,
    sha256 text NOT NULL,
    thumbnail_sha256 text NOT NULL,
    terms integer[] NOT NULL,          -- the product's
    embedding {method.vector_type}({dim}) NOT NULL  -- unit vector
)""",
    ]


def indexes(release_id: str, method: AccessMethod, options: str = "") -> dict[str, str]:
    """Return the statements that index a loaded release, by what they are for, in order.

    Before a release with them is served, its tables are to be analysed (ANALYZE).

    Args:
        release_id: names the namespace.
        method: of the vectors' index.
        options: of the vectors' index, as "m = 16, ef_construction = 64"; "": the server's.
    """
    schema = namespace(release_id)
    chosen = f" WITH ({options})" if options else ""
    return {
        "terms": f"ALTER TABLE {schema}.term ADD PRIMARY KEY (number), "
        "ADD CONSTRAINT term_name UNIQUE (kind, key, value)",
        "products": f"ALTER TABLE {schema}.product ADD PRIMARY KEY (number), "
        "ADD CONSTRAINT product_id UNIQUE (id)",
        "products by term": f"CREATE INDEX product_terms ON {schema}.product USING gin (terms)",
        "photos": f"ALTER TABLE {schema}.image ADD PRIMARY KEY (number), "
        "ADD CONSTRAINT image_id UNIQUE (product, image_id)",
        "photos by product": f"CREATE INDEX image_product ON {schema}.image (product, number)",
        "photos by term": f"CREATE INDEX image_terms ON {schema}.image USING gin (terms)",
        "vectors": f"CREATE INDEX image_embedding ON {schema}.image "
        f"USING {method.name} (embedding {method.operator_class}){chosen}",
    }
