"""One photo's camera, light and background: (seed, product, photo) -> numbers.

Axes of the scene: the camera looks along -z, y is up, the object stands at the origin on the floor
y = 0 and is turned about y; a wall stands behind it.
"""

from dataclasses import dataclass

import numpy as np

from trainer.data.studio.surface import RGB

CATALOG_PHOTOS = (0, 2, 5)  # studio shots; every other photo is a customer's

WALLS = ("plain", "gradient", "wallpaper", "bricks", "panels", "blurred", "tiles", "gingham")
FLOORS = ("plain", "planks", "tiles", "linen", "gingham", "marble", "gravel", "sweep")


@dataclass(frozen=True)
class Light:
    """A lamp far away and the light that the room gives back. Colours are linear RGB."""

    direction: tuple[float, float, float]
    """Towards the lamp, unit length."""
    colour: RGB
    room: RGB
    softness: float
    """Sharpness of the shadow's edge: small is soft, about 3 to 16."""


@dataclass(frozen=True)
class Backdrop:
    """Floor and wall: a kind and two colours each (linear RGB)."""

    wall: str
    wall_colours: tuple[RGB, RGB]
    floor: str
    floor_colours: tuple[RGB, RGB]
    distance: float
    """From the object to the wall, in object units."""
    scale: float
    turn: float
    """Of the floor's pattern about y, radians."""
    seed: int


@dataclass(frozen=True)
class Scene:
    """Everything about a photo but the product."""

    turn: float
    """Of the object about y, radians; 0 shows its front."""
    elevation: float
    """Of the camera above the horizon, radians."""
    distance: float
    """From the camera to the object, object units."""
    roll: float
    fill: float
    """Geometric mean of the object's width and height as a share of the frame."""
    shift: tuple[float, float]
    """Place of the object within the free margin of the frame, -1..1."""
    light: Light
    backdrop: Backdrop
    exposure: float
    balance: RGB
    """What the camera's white balance multiplies."""
    noise: float
    """Standard deviation of the sensor's noise in the finished picture, 0..1."""
    blur: float
    """Radius of the lens' blur, in thousandths of the frame."""
    vignette: float
    seed: int


def lamp_colour(kelvin: float) -> RGB:
    """Colour of a lamp relative to daylight, green at 1 (coarse fit of the black body locus)."""
    mired = 1e6 / kelvin - 1e6 / 6000.0
    return (1.0 + 0.0013 * mired, 1.0, max(0.25, 1.0 - 0.0031 * mired))


def _direction(azimuth: float, elevation: float) -> tuple[float, float, float]:
    c = float(np.cos(elevation))
    return (c * float(np.sin(azimuth)), float(np.sin(elevation)), c * float(np.cos(azimuth)))


def _random_colour(rng: np.random.Generator) -> RGB:
    """Walls and cloths: mostly muted, sometimes loud."""
    hue, value = rng.random(), float(rng.uniform(0.25, 0.95))
    saturation = float(rng.uniform(0.0, 0.3) if rng.random() < 0.65 else rng.uniform(0.3, 0.75))
    wheel = np.clip(np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1.0 * 6 - 3) - 1, 0, 1)
    r, g, b = (value * (1 - saturation * (1 - wheel))) ** 2.2
    return float(r), float(g), float(b)


def _near(colour: RGB, rng: np.random.Generator) -> RGB:
    """A lighter or darker companion of a colour."""
    factor = float(rng.uniform(0.45, 0.8))
    if max(colour) < 0.3:
        factor = 1.0 / factor
    r, g, b = (min(1.0, c * factor) for c in colour)
    return r, g, b


def catalog_scene(rng: np.random.Generator, photo: int) -> Scene:
    """A clean studio shot: seamless paper, soft light, the object large and centred."""
    shade = float(rng.uniform(0.72, 0.9))
    paper = (shade, shade, shade * float(rng.uniform(0.97, 1.02)))
    side = 1.0 if photo == 0 else -1.0
    return Scene(
        turn=side * float(rng.uniform(0.4, 0.65)) + (np.pi if photo == 5 else 0.0),
        elevation=float(rng.uniform(0.24, 0.4)),
        distance=7.0,
        roll=0.0,
        fill=float(rng.uniform(0.7, 0.76)),
        shift=(0.0, 0.0),
        light=Light(
            _direction(float(rng.uniform(-0.9, -0.3)), float(rng.uniform(0.75, 1.0))),
            (1.0, 1.0, 1.0),
            (0.52, 0.52, 0.53),
            softness=4.0,
        ),
        backdrop=Backdrop(
            "plain", (paper, paper), "sweep", (paper, paper), 3.0, 1.0, 0.0,
            int(rng.integers(1 << 30)),
        ),
        exposure=1.0,
        balance=(1.0, 1.0, 1.0),
        noise=0.004,
        blur=0.0,
        vignette=0.0,
        seed=int(rng.integers(1 << 30)),
    )  # fmt: skip


def customer_scene(rng: np.random.Generator) -> Scene:
    """A photo taken at home: any room, any lamp, any angle, an automatic camera."""
    kelvin = float(1e6 / rng.uniform(1e6 / 9500.0, 1e6 / 2900.0))
    lamp = lamp_colour(kelvin)
    # The camera corrects a part of the lamp's colour, sometimes too much.
    corrected = float(rng.uniform(0.2, 1.0))
    red, green, blue = (float(c**-corrected) for c in lamp)
    power = float(rng.uniform(0.55, 1.15))
    ambient = float(rng.uniform(0.2, 0.5))
    tint = _random_colour(rng)
    mean = sum(tint) / 3 + 0.15
    room = tuple(ambient * (0.8 + 0.2 * (c + 0.15) / mean) for c in tint)
    wall, floor = _random_colour(rng), _random_colour(rng)
    return Scene(
        turn=float(rng.uniform(-np.pi, np.pi) if rng.random() < 0.3 else rng.uniform(-1.2, 1.2)),
        elevation=float(rng.uniform(0.1, 0.75)),
        distance=float(rng.uniform(4.0, 8.0)),
        roll=float(rng.normal(0.0, 0.07)),
        fill=float(rng.uniform(0.48, 0.78)),
        shift=(float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
        light=Light(
            _direction(float(rng.uniform(-1.4, 1.4)), float(rng.uniform(0.45, 1.2))),
            (power * lamp[0], power * lamp[1], power * lamp[2]),
            (room[0], room[1], room[2]),
            softness=float(rng.uniform(3.0, 14.0)),
        ),
        backdrop=Backdrop(
            str(rng.choice(WALLS)),
            (wall, _near(wall, rng) if rng.random() < 0.7 else _random_colour(rng)),
            str(rng.choice(FLOORS)),
            (floor, _near(floor, rng) if rng.random() < 0.7 else _random_colour(rng)),
            distance=float(rng.uniform(1.3, 3.5)),
            scale=float(rng.uniform(0.7, 1.6)),
            turn=float(rng.uniform(-0.6, 0.6)),
            seed=int(rng.integers(1 << 30)),
        ),
        exposure=float(np.exp(rng.normal(0.0, 0.28))),
        balance=(red, green, blue),
        noise=float(rng.uniform(0.003, 0.016)),
        blur=float(rng.uniform(0.0, 6.0)) if rng.random() < 0.4 else 0.0,
        vignette=float(rng.uniform(0.0, 0.35)),
        seed=int(rng.integers(1 << 30)),
    )


def make_scene(seed: int, product: int, photo: int) -> Scene:
    """Draw the scene of one photo; whether it is a catalogue shot depends on `photo` alone."""
    rng = np.random.default_rng([seed, product, photo, 4])
    return catalog_scene(rng, photo) if photo in CATALOG_PHOTOS else customer_scene(rng)
