"""Product + scene -> pixels: sphere tracing, shading, shadows, and the camera's own faults."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageFilter

from trainer.data.studio.backdrop import floor_colour, wall_colour
from trainer.data.studio.camera import Frame, aim, rotated
from trainer.data.studio.distance import Distances, Points
from trainer.data.studio.product import Product, make_product, shape_of
from trainer.data.studio.scene import Scene, make_scene
from trainer.data.studio.shape import Shape, Slot
from trainer.data.studio.surface import MATERIALS, Amounts, Colours, Finish, albedo

SUPERSAMPLING = 1.5
MARCH_STEPS = 56
SHADOW_STEPS = 14
HIT = 0.004  # object units: a pixel is about 0.02
MARGIN = 0.08  # around the probed extent, so that nothing thin is cut
REST = -1.0  # ray parameter of a ray that meets nothing


def photograph(seed: int, product: int, photo: int, image_size: int) -> UInt8[np.ndarray, "s s 3"]:
    """Take photo `photo` of product `product`: sRGB pixels, a pure function of the arguments."""
    return render(make_product(seed, product), make_scene(seed, product, photo), image_size)


def render(product: Product, scene: Scene, image_size: int) -> UInt8[np.ndarray, "s s 3"]:
    """Render a product in a scene as the camera delivers it, sRGB."""
    shape = shape_of(product.family, product.traits)
    frame, hit, origin, directions = _trace(product, scene, image_size)
    shade = _Shading(shape, product.finishes, scene, frame)
    picture = shade.background(origin, directions)
    seen = hit > 0
    if seen.any():
        p = origin[:, None] + directions[:, seen] * hit[seen]
        picture[:, seen] = shade.object(p, directions[:, seen])
    side = frame.pixels
    return _develop(picture.reshape(3, side, side), scene, image_size)


def silhouette(product: Product, scene: Scene, image_size: int) -> np.ndarray:
    """Which pixels show the object: bool [side, side] at the renderer's own resolution."""
    frame, hit, _, _ = _trace(product, scene, image_size)
    return (hit > 0).reshape(frame.pixels, frame.pixels)


@lru_cache(maxsize=16)
def _extent(family: str, traits: tuple[float, ...]) -> Points:
    return shape_of(family, traits).surface_points()


def _trace(
    product: Product, scene: Scene, image_size: int
) -> tuple[Frame, Distances, Float32[np.ndarray, "3"], Points]:
    """Where each ray of the frame meets the object, in the object's own axes."""
    extent = _extent(product.family, product.traits)
    frame = aim(scene, extent, round(image_size * SUPERSAMPLING))
    origin = rotated(frame.origin[:, None], -scene.turn)[:, 0]
    directions = rotated(frame.directions, -scene.turn)
    low, high = extent.min(axis=1) - MARGIN, extent.max(axis=1) + MARGIN
    shape = shape_of(product.family, product.traits)
    return frame, _march(shape, origin, directions, low, high), origin, directions


def _march(
    shape: Shape,
    origin: Float32[np.ndarray, "3"],
    directions: Points,
    low: Float32[np.ndarray, "3"],
    high: Float32[np.ndarray, "3"],
) -> Distances:
    """Ray parameter of the first hit inside the box low..high, or REST."""
    enter, leave = _slab(origin[:, None], directions, low, high)
    hit = np.full(directions.shape[1], REST, np.float32)
    rays = np.flatnonzero(enter < leave)
    t, end, d = np.maximum(enter[rays], 0.0), leave[rays], directions[:, rays]
    for _ in range(MARCH_STEPS):
        if not len(rays):
            break
        step = shape.distance(origin[:, None] + d * t)
        arrived = step < HIT
        hit[rays[arrived]] = t[arrived]
        t = t + np.maximum(step, HIT)
        going = ~arrived & (t < end)
        rays, t, end, d = rays[going], t[going], end[going], d[:, going]
    return hit


def _slab(
    origin: Float32[np.ndarray, "3 _"],
    directions: Points,
    low: Float32[np.ndarray, "3"],
    high: Float32[np.ndarray, "3"],
) -> tuple[Distances, Distances]:
    """Ray parameters at which rays enter and leave the box; enter > leave where they miss it."""
    safe = np.where(np.abs(directions) < 1e-6, np.float32(1e-6), directions)
    a, b = (low[:, None] - origin) / safe, (high[:, None] - origin) / safe
    return np.minimum(a, b).max(axis=0), np.maximum(a, b).min(axis=0)


class _Shading:
    """One scene's light on one shape. Points and directions are in the object's own axes."""

    def __init__(
        self, shape: Shape, finishes: dict[Slot, Finish], scene: Scene, frame: Frame
    ) -> None:
        self.shape, self.finishes, self.scene, self.frame = shape, finishes, scene, frame
        light = np.array(scene.light.direction, np.float32)[:, None]
        self.light = rotated(light, -scene.turn)
        self.lamp = np.array(scene.light.colour, np.float32)[:, None]
        self.room = np.array(scene.light.room, np.float32)[:, None]
        self.low, self.high = frame.low - MARGIN, frame.high + MARGIN
        floor = np.array(scene.backdrop.floor_colours[0], np.float32)[:, None]
        self.bounce = floor * (0.35 * self.lamp + self.room)

    def object(self, p: Points, view: Points) -> Colours:
        """Colour of the object's surface at p, seen along `view`."""
        n = self._normals(p)
        slots = self.shape.slots(p)
        if self.shape.lined:
            radial = p[0] * n[0] + p[2] * n[2]
            inside = (radial < -0.02) | ((n[1] > 0.8) & (p[1] < 0.6 * self.high[1]))
            slots = np.where((slots == Slot.BODY) & inside, Slot.LINING, slots)
        facing = np.maximum((n * self.light).sum(axis=0), 0.0)
        # Started off the surface and sharper: a soft shadow would darken what it starts from.
        lit = facing * self._shadow(p + n * 0.05, 2.5)
        occlusion = self._occlusion(p, n)
        up = 0.5 + 0.5 * n[1]
        ambient = (self.room * (0.35 + 0.65 * up) + self.bounce * (0.45 * (1.0 - up))) * occlusion
        mirrored = view - 2.0 * (view * n).sum(axis=0) * n
        half = self.light - view
        half /= np.sqrt((half * half).sum(axis=0))
        shine = np.maximum((n * half).sum(axis=0), 0.0)
        grazing = (1.0 - np.maximum(-(view * n).sum(axis=0), 0.0)) ** 5
        surroundings = self._surroundings(mirrored) * (0.4 + 0.6 * occlusion)
        colour = np.empty_like(p)
        for slot in np.unique(slots):
            at = slots == slot
            finish = self.finishes[Slot(int(slot))]
            base = self._albedo(p[:, at], n[:, at], Slot(int(slot)), finish)
            m = MATERIALS[finish.material]
            reflectance = m.mirror + (1.0 - m.mirror) * grazing[at] * min(1.0, 8.0 * m.mirror)
            image = surroundings[:, at] * reflectance
            image += self.lamp * (m.highlight * shine[at] ** m.sharpness * (lit[at] > 0.02))
            colour[:, at] = m.diffuse * base * (self.lamp * lit[at] + ambient[:, at])
            colour[:, at] += image * base * 1.25 if m.tinted else image
        return colour

    def background(self, origin: Float32[np.ndarray, "3"], directions: Points) -> Colours:
        """Floor and wall along every ray of the frame."""
        scene, backdrop, d = self.scene, self.scene.backdrop, self.frame.directions
        eye = self.frame.origin
        to_wall = (-backdrop.distance - eye[2]) / np.minimum(d[2], -1e-4)
        to_floor = np.where(d[1] < -1e-4, -eye[1] / np.minimum(d[1], -1e-4), np.float32(1e9))
        on_floor = to_floor < to_wall
        t = np.minimum(to_floor, to_wall).astype(np.float32)
        x, y, z = (eye[i] + d[i] * t for i in range(3))
        colour = np.empty_like(d)
        wall, direction = ~on_floor, scene.light.direction
        colour[:, wall] = wall_colour(backdrop, x[wall], y[wall])
        sweep = backdrop.floor == "sweep"
        level = np.float32(max(direction[1], 0.0))
        upright = level if sweep else np.float32(0.25 + 0.6 * max(direction[2], 0.0))
        fade = 1.0 - 0.06 * np.clip(y[wall], 0.0, 4.0)
        colour[:, wall] *= (self.lamp * upright + self.room) * fade
        colour[:, on_floor] = floor_colour(backdrop, x[on_floor], z[on_floor])
        p = origin[:, None] + directions[:, on_floor] * t[on_floor]
        shadow, contact = self._shadow(p, 1.0), self._contact(p)
        colour[:, on_floor] *= self.lamp * (level * shadow) + self.room * contact
        return colour

    def _albedo(self, p: Points, n: Points, slot: Slot, finish: Finish) -> Colours:
        if slot == Slot.FACE and self.shape.ink is not None:
            paper, ink = (np.array(c, np.float32) for c in (finish.primary, finish.secondary))
            share: Amounts = self.shape.ink(p)
            printed: Colours = paper[:, None] + (ink - paper)[:, None] * share
            return printed
        wrapped = self.shape.mapping == "round"
        return albedo(p, n, finish, wrapped=wrapped, height=float(self.high[1]))

    def _normals(self, p: Points) -> Points:
        e = np.float32(0.014)
        probes = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
        at = (p[:, None, :] + e * probes.T[:, :, None]).reshape(3, -1)
        d = self.shape.distance(at).reshape(4, -1)
        n = np.einsum("ki,kn->in", probes, d)
        normals: Points = n / np.maximum(np.sqrt((n * n).sum(axis=0)), 1e-6)
        return normals

    def _occlusion(self, p: Points, n: Points) -> Amounts:
        """How open the sky is above each point, from two probes along the normal, 0..1."""
        closed = np.zeros_like(p[0])
        for reach, weight in ((0.07, 2.4), (0.22, 1.5)):
            q = p + n * np.float32(reach)
            closed += weight * (reach - np.minimum(self.shape.distance(q), q[1]))
        openness: Amounts = np.clip(1.0 - closed, 0.15, 1.0)
        return openness

    def _contact(self, p: Points) -> Amounts:
        """Darkening of the floor next to the object, 0..1."""
        open_sky: Amounts = np.ones_like(p[0])
        near = ((p > self.low[:, None] - 0.3) & (p < self.high[:, None] + 0.3))[[0, 2]].all(axis=0)
        if near.any():
            d = self.shape.distance(p[:, near] + np.array([[0.0], [0.08], [0.0]], np.float32))
            open_sky[near] = np.clip(0.3 + 2.4 * d, 0.2, 1.0)
        return open_sky

    def _shadow(self, p: Points, sharpening: float) -> Amounts:
        """How much of the lamp each point sees, 0..1, with a penumbra (Quilez, "Soft shadows")."""
        softness = sharpening * self.scene.light.softness
        light = np.ascontiguousarray(np.broadcast_to(self.light, p.shape))
        # The penumbra reaches beyond the object's box.
        enter, leave = _slab(p, light, self.low - 0.25, self.high + 0.25)
        seen: Amounts = np.ones_like(p[0])
        enter = np.maximum(enter, 0.02)
        rays = np.flatnonzero(enter < leave)
        t, end, q = enter[rays], leave[rays], p[:, rays]
        for _ in range(SHADOW_STEPS):
            if not len(rays):
                break
            d = self.shape.distance(q + self.light * t)
            reach = softness * d / (t + 0.15)
            seen[rays] = np.minimum(seen[rays], np.clip(reach, 0.0, 1.0))
            t = t + np.clip(d, 0.035, 0.3)
            going = (t < end) & (seen[rays] > 0.02)
            rays, t, end, q = rays[going], t[going], end[going], q[:, going]
        eased: Amounts = seen * seen * (3.0 - 2.0 * seen)
        return eased

    def _surroundings(self, direction: Points) -> Colours:
        """What a mirror shows: the floor below, a bright ceiling, a window on the lamp's side."""
        up = direction[1]
        sky = (0.5 * self.room + 0.2 * self.lamp) * (0.6 + 0.9 * np.clip(up, 0.0, 1.0))
        window = np.clip(((direction * self.light).sum(axis=0) - 0.75) * 8.0, 0.0, 1.0)
        colour = np.where(up < -0.02, self.bounce, sky + 1.1 * self.lamp * window)
        strip = np.clip(1.0 - 9.0 * np.abs(up - 0.12), 0.0, 1.0)
        reflected: Colours = (colour * (1.0 - 0.55 * strip)).astype(np.float32)
        return reflected


def _develop(
    light: Float32[np.ndarray, "3 h w"], scene: Scene, image_size: int
) -> UInt8[np.ndarray, "s s 3"]:
    """Exposure, white balance, film curve, lens and sensor."""
    side = light.shape[1]
    light = light * (scene.exposure * np.array(scene.balance, np.float32))[:, None, None]
    if scene.vignette:
        axis = np.linspace(-1.0, 1.0, side, dtype=np.float32) ** 2
        light = light * (1.0 - scene.vignette * 0.5 * (axis + axis[:, None]))
    tone = (1.0 - np.exp(-1.75 * light)) ** np.float32(1 / 2.2)
    picture = Image.fromarray((tone.transpose(1, 2, 0) * 255.0 + 0.5).astype(np.uint8))
    if scene.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(scene.blur * side / 1000.0))
    small = np.asarray(picture.resize((image_size, image_size), Image.Resampling.BILINEAR))
    grain = np.random.default_rng(scene.seed).standard_normal(small.shape, np.float32)
    noisy = small + (255.0 * scene.noise) * grain + 0.5
    pixels: UInt8[np.ndarray, "s s 3"] = np.clip(noisy, 0, 255).astype(np.uint8)
    return pixels
