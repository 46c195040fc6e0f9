"""The embedded catalogue: a shop of things that never existed, photographed by arithmetic.

Every product is a three-dimensional object made from a few numbers (family, traits, finishes);
every photo of it has its own viewpoint, light, background and framing. Nothing is downloaded, and
photo i of product j is a pure function of (seed, j, i), whoever renders it and in whatever order.

    distance.py    signed distances of simple solids and of turned profiles
    vessels.py, furniture.py, wearables.py    the families of shapes, built from those solids
    shape.py       what a family returns: parts, and where their surface lies
    surface.py     palette, materials and patterns: the colour of a point on an object
    product.py     (seed, j) -> one product: shape, finishes, title, price, labels
    scene.py       (seed, j, i) -> one photo's camera, light and background
    backdrop.py    the floor and the wall behind the object
    render.py      product + scene -> pixels, by sphere tracing
    writer.py      products x photos -> a catalogue folder
"""

from trainer.data.studio.product import Product, make_product
from trainer.data.studio.render import photograph
from trainer.data.studio.writer import contact_sheet, write_studio_catalog

__all__ = ["Product", "contact_sheet", "make_product", "photograph", "write_studio_catalog"]
