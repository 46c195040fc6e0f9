"""Products: (seed, number) -> one object with its finishes, title, price and labels.

Products come in lines: within a family, numbers follow each other in threes that are sometimes
unrelated and sometimes siblings, as in a real shop: one shape in other colours, one shape with
another pattern, or one look on another shape.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from trainer.data.studio import furniture, vessels, wearables
from trainer.data.studio.shape import TRAITS, Shape, Slot, Traits
from trainer.data.studio.surface import METALS, PALETTE, WOODS, Finish, linear

LINE_LENGTH = 3  # products of one family in a row that may be siblings
FLAT = ("plain", "striped", "banded", "dotted", "checked", "diamond", "zigzag", "tartan")
THROWN = (*FLAT, "dipped", "marbled", "speckled", "ringed")
WOVEN = (*FLAT, "pinstriped")


@dataclass(frozen=True)
class Family:
    """One kind of product and what a shop would make it of."""

    build: Callable[[Traits], Shape]
    noun: str
    price: float
    """Typical price, in the shop's currency."""
    materials: tuple[str, ...]
    accents: tuple[str, ...]
    """Materials of the second part; "same" repeats the body's."""
    patterns: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "mugs": Family(
        vessels.mug, "mug", 14.0, ("ceramic", "stoneware", "enamel"), ("same",), THROWN
    ),
    "lamps": Family(
        furniture.lamp, "table lamp", 79.0, ("cotton", "paper"),
        ("ceramic", "wooden", "metal", "lacquered"), WOVEN,
    ),
    "ducks": Family(wearables.duck, "bath duck", 9.0, ("rubber",), ("rubber",), THROWN),
    "chairs": Family(
        furniture.chair, "chair", 149.0, ("cotton", "leather", "lacquered"),
        ("wooden", "metal", "lacquered"), WOVEN,
    ),
    "teapots": Family(
        vessels.teapot, "teapot", 39.0, ("ceramic", "stoneware", "enamel"),
        ("same", "wooden", "metal"), THROWN,
    ),
    "shoes": Family(
        wearables.shoe, "shoe", 89.0, ("cotton", "leather"), ("rubber",),
        ("plain", *WOVEN, "dipped"),
    ),
    "vases": Family(vessels.vase, "vase", 45.0, ("ceramic", "stoneware"), ("same",), THROWN),
    "bags": Family(
        wearables.bag, "handbag", 119.0, ("leather", "cotton"), ("leather", "same"),
        ("plain", *WOVEN),
    ),
    "clocks": Family(
        furniture.clock, "desk clock", 35.0, ("lacquered", "enamel", "wooden"),
        ("metal", "lacquered"), ("plain", "plain", "striped", "dotted", "checked", "marbled"),
    ),
    "bottles": Family(
        vessels.bottle, "bottle", 24.0, ("ceramic", "enamel", "stoneware"),
        ("wooden", "metal", "rubber"), THROWN,
    ),
    "tables": Family(
        furniture.table, "side table", 99.0, ("wooden", "lacquered"),
        ("wooden", "metal", "lacquered"), ("plain", "checked", "striped", "marbled", "tartan"),
    ),
    "bowls": Family(
        vessels.bowl, "bowl", 19.0, ("ceramic", "stoneware", "enamel", "wooden"), ("same",), THROWN
    ),
}  # fmt: skip
_FAMILY_NAMES = tuple(FAMILIES)


@dataclass(frozen=True)
class Look:
    """What a product wears, by name: the part of it that is not shape."""

    material: str
    pattern: str
    colour: str
    second: str
    accent_material: str
    accent: str
    lining: str
    dark_face: bool
    scale: float
    phase: float


@dataclass(frozen=True)
class Product:
    """One product of the shop. `make_product` draws it; equal products render equal photos."""

    family: str
    traits: Traits
    look: Look
    price: float

    @property
    def title(self) -> str:
        """As a shop would write it: "Striped ceramic mug, teal and cream"."""
        noun = FAMILIES[self.family].noun
        colours = self.look.colour
        if self.look.pattern != "plain":
            colours += f" and {self.look.second}"
        return f"{self.look.pattern} {self.look.material} {noun}, {colours}".capitalize()

    @property
    def labels(self) -> dict[str, str]:
        return {
            "colour": self.look.colour,
            "pattern": self.look.pattern,
            "material": self.look.material,
        }

    @property
    def finishes(self) -> dict[Slot, Finish]:
        """The finish of every slot that a shape may have."""
        look = self.look
        body, second = _tone(look.colour), _tone(look.second)
        accent, lining = _tone(look.accent), _tone(look.lining)
        ink, paper = linear("26262b"), linear("f3f0e6")
        if look.dark_face:
            ink, paper = paper, ink
        inside = "paper" if look.material in ("cotton", "paper") else look.material
        return {
            Slot.BODY: Finish(look.material, body, second, look.pattern, look.scale, look.phase),
            Slot.ACCENT: Finish(look.accent_material, accent, accent, phase=look.phase),
            Slot.DETAIL: Finish("lacquered", linear("1d1d22"), ink),
            Slot.LINING: Finish(inside, lining, lining, phase=look.phase),
            Slot.FACE: Finish("enamel", paper, ink),
        }


def _tone(name: str) -> tuple[float, float, float]:
    return linear((PALETTE | WOODS | METALS)[name])


def _colour_for(material: str, rng: np.random.Generator) -> str:
    palette = {"wooden": WOODS, "metal": METALS}.get(material, PALETTE)
    return str(rng.choice(list(palette)))


def _contrasting(colour: str, material: str, rng: np.random.Generator) -> str:
    """A second colour that can be told from the first at thumbnail size."""
    first = np.array(_tone(colour)) ** (1 / 2.2)
    while True:
        name = _colour_for(material, rng)
        if np.abs(np.array(_tone(name)) ** (1 / 2.2) - first).sum() > 0.55:
            return name


def _draw_look(family: Family, rng: np.random.Generator) -> Look:
    material = str(rng.choice(family.materials))
    colour = _colour_for(material, rng)
    accent_material = str(rng.choice(family.accents))
    same = accent_material == "same"
    accent_material = material if same else accent_material
    return Look(
        material=material,
        pattern=str(rng.choice(family.patterns)),
        colour=colour,
        second=_contrasting(colour, "wooden" if material == "wooden" else "any", rng),
        accent_material=accent_material,
        accent=colour if same and rng.random() < 0.6 else _colour_for(accent_material, rng),
        lining=str(rng.choice(["white", "cream", "charcoal"])) if rng.random() < 0.6 else colour,
        dark_face=bool(rng.random() < 0.25),
        scale=float(rng.uniform(0.8, 1.35)),
        phase=float(rng.random()),
    )


def _draw_traits(rng: np.random.Generator) -> Traits:
    return tuple(float(t) for t in rng.random(TRAITS))


def _draw(seed: int, number: int, family: str) -> Product:
    rng = np.random.default_rng([seed, number, 1])
    kind = FAMILIES[family]
    price = round(kind.price * float(rng.uniform(0.6, 1.6))) + 0.9
    return Product(family, _draw_traits(rng), _draw_look(kind, rng), price)


@lru_cache(maxsize=64)
def make_product(seed: int, number: int) -> Product:
    """Draw product `number` (0, 1, …) of the shop `seed`."""
    place, member = divmod(number // len(_FAMILY_NAMES), LINE_LENGTH)
    family = _FAMILY_NAMES[number % len(_FAMILY_NAMES)]
    own = _draw(seed, number, family)
    first = number - member * len(_FAMILY_NAMES)
    line = np.random.default_rng([seed, place, number % len(_FAMILY_NAMES), 2])
    relation = str(line.choice(["unrelated", "colour", "pattern", "shape"], p=[0.4, 0.2, 0.2, 0.2]))
    if member == 0 or relation == "unrelated":
        return own
    base = _draw(seed, first, family)
    rng = np.random.default_rng([seed, number, 3])
    if relation == "shape":
        return replace(base, traits=_reshaped(base.traits, member), price=own.price)
    look = base.look
    if relation == "pattern":
        options = [p for p in dict.fromkeys(FAMILIES[family].patterns) if p != look.pattern]
        start = int(line.integers(len(options)))
        pattern = options[(start + member) % len(options)]
        return replace(base, look=replace(look, pattern=pattern))
    taken = {look.colour, look.second}
    names = [n for n in _palette_of(look.material) if n not in taken]
    apart = max(1, len(names) // LINE_LENGTH)
    colour = names[(int(line.integers(len(names))) + member * apart) % len(names)]
    second_material = "wooden" if look.material == "wooden" else "any"
    second = _contrasting(colour, second_material, rng)
    accent = colour if look.accent == look.colour else look.accent
    lining = colour if look.lining == look.colour else look.lining
    return replace(
        base, look=replace(look, colour=colour, second=second, accent=accent, lining=lining)
    )


def _palette_of(material: str) -> list[str]:
    return list({"wooden": WOODS, "metal": METALS}.get(material, PALETTE))


def _reshaped(traits: Traits, member: int) -> Traits:
    """Clearly other proportions of the same design: half of the traits move by a third or more."""
    moved = (t + member / LINE_LENGTH for t in traits[: TRAITS // 2])
    return (*(t % 1.0 for t in moved), *traits[TRAITS // 2 :])


@lru_cache(maxsize=16)
def shape_of(family: str, traits: Traits) -> Shape:
    """Build a shape once for all its photos."""
    return FAMILIES[family].build(traits)
