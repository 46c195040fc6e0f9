"""Things turned on a wheel: mugs, bottles, vases, teapots, bowls."""

from trainer.data.studio.distance import (
    Distances,
    Points,
    box,
    curve,
    cylinder,
    ellipsoid,
    hollow,
    length,
    limb,
    mirrored,
    overlap,
    ring,
    smooth_union,
    solid,
    sphere,
    turned,
)
from trainer.data.studio.shape import Part, Shape, Slot, Traits, between, pick


def _outside(d: Distances, p: Points, radius: float) -> Distances:
    """Cut away what would reach into a vessel of that inner radius."""
    return overlap(d, radius - length(p[0], p[2]))


def mug(t: Traits) -> Shape:
    height, radius = between(0.85, 1.45, t[0]), between(0.44, 0.62, t[1])
    foot, belly = radius * between(0.68, 1.05, t[2]), radius * between(0.86, 1.18, t[3])
    body = turned(
        hollow(
            curve((foot, 0.0), (belly, 0.38 * height), (radius, 0.8 * height), (radius, height)),
            wall=0.06,
        ),
        rounding=0.008,
    )
    size, thickness = between(0.2, 0.34, t[4]), between(0.05, 0.085, t[5])
    at = (belly + 0.02, 0.52 * height, 0.0)
    square = t[6] > 0.6

    def handle(p: Points) -> Distances:
        if square:
            half = (size + 0.03, 0.3 * height, thickness)
            inner = (half[0] - 1.7 * thickness, half[1] - 1.7 * thickness, 1.0)
            d = overlap(box(p, at, half, 0.03), -box(p, at, inner, 0.03))
        else:
            d = ring(p, at, size, thickness, height=0.3 * height)
        return _outside(d, p, min(belly, radius) - 0.05)

    slot = Slot.ACCENT if t[7] > 0.65 else Slot.BODY
    return Shape((Part(body), Part(handle, slot)), lined=True)


def bottle(t: Traits) -> Shape:
    radius, body = between(0.3, 0.5, t[0]), between(0.75, 1.25, t[1])
    shoulder, neck = between(0.1, 0.42, t[2]), between(0.1, 0.19, t[3])
    top = body + shoulder + between(0.12, 0.42, t[4])
    waist = radius * between(0.8, 1.06, t[5])
    line = curve(
        (radius * 0.94, 0.0),
        (radius, 0.06),
        (waist, 0.5 * body),
        (radius, body),
        (neck * 1.05, body + shoulder),
        (neck, top),
    )
    glass = turned(solid(line), rounding=0.01)
    cap = between(0.06, 0.13, t[6])
    lip = neck + between(0.02, 0.08, t[7])
    return Shape(
        (
            Part(glass),
            Part(lambda p: cylinder(p, (0.0, top + cap - 0.02, 0.0), lip, cap), Slot.ACCENT),
        )
    )


def vase(t: Traits) -> Shape:
    height, belly = between(1.1, 1.85, t[0]), between(0.4, 0.78, t[1])
    at = between(0.28, 0.68, t[2]) * height
    foot, neck = between(0.2, 0.42, t[3]), between(0.13, 0.36, t[4])
    lip = neck + between(0.0, 0.26, t[5])
    line = curve((foot, 0.0), (belly, at), (neck, 0.86 * height), (lip, height))
    body = turned(hollow(line, wall=0.05), rounding=0.008)
    if t[6] < 0.62:
        return Shape((Part(body),), lined=True)
    size = between(0.16, 0.26, t[7])
    ears = (neck + 0.8 * size, 0.8 * height, 0.0)
    return Shape(
        (
            Part(body),
            Part(
                lambda p: _outside(ring(mirrored(p, x=True), ears, size, 0.05), p, neck - 0.02),
                Slot.ACCENT,
            ),
        ),
        lined=True,
    )


def teapot(t: Traits) -> Shape:
    radius, height = between(0.55, 0.74, t[0]), between(0.7, 1.1, t[1])
    belly, mouth = between(0.3, 0.6, t[2]) * height, between(0.3, 0.42, t[3])
    body = turned(
        solid(
            curve(
                (0.66 * radius, 0.0),
                (radius, belly),
                (mouth + 0.06, 0.94 * height),
                (mouth, height),
                (0.5 * mouth, height + 0.1),
                (0.05, height + 0.13),
            )
        ),
        rounding=0.01,
    )
    reach, knob = between(0.28, 0.42, t[4]), between(0.07, 0.12, t[5])
    tip = (-radius - reach, between(0.85, 1.05, t[6]) * height, 0.0)
    bend = (-radius - 0.55 * reach, belly + 0.1, 0.0)

    def pot(p: Points) -> Distances:
        spout = smooth_union(
            limb(p, (-0.7 * radius, 0.8 * belly, 0.0), bend, 0.17, 0.11),
            limb(p, bend, tip, 0.11, 0.065),
            0.06,
        )
        return smooth_union(body(p), spout, 0.05)

    overhead = t[7] > 0.6

    def handle(p: Points) -> Distances:
        if overhead:
            arch = ring(p, (0.0, height - 0.1, 0.0), 0.78 * radius, 0.05, height=0.85 * radius)
            return overlap(arch, 0.8 * height - p[1])
        d = ring(p, (radius, 0.55 * height, 0.0), 0.27, 0.055, height=0.36 * height)
        return _outside(d, p, 0.8 * radius)

    top = height + 0.12 + 0.7 * knob
    return Shape(
        (
            Part(pot),
            Part(handle, Slot.ACCENT),
            Part(lambda p: sphere(p, (0.0, top, 0.0), knob), Slot.ACCENT),
        )
    )


def bowl(t: Traits) -> Shape:
    radius, height = between(0.72, 1.05, t[0]), between(0.42, 0.95, t[1])
    foot, flare = radius * between(0.3, 0.58, t[2]), between(-0.1, 0.1, t[3])
    middle = radius * between(0.68, 0.98, t[4])
    body = turned(
        hollow(
            curve(
                (foot, 0.0),
                (middle, 0.42 * height),
                (radius - flare, 0.8 * height),
                (radius, height),
            ),
            wall=between(0.05, 0.09, t[5]),
        ),
        rounding=0.01,
    )
    extra = pick(("none", "lugs", "none", "stand"), t[6])
    if extra == "none":
        return Shape((Part(body),), lined=True)
    if extra == "lugs":
        lug = (radius + 0.04, 0.82 * height, 0.0)
        part = Part(
            lambda p: _outside(
                ellipsoid(mirrored(p, x=True), lug, (0.2, 0.06, 0.22)), p, radius - 0.06
            ),
            Slot.ACCENT,
        )
    else:
        part = Part(lambda p: cylinder(p, (0.0, 0.06, 0.0), foot + 0.12, 0.06), Slot.ACCENT)
    return Shape((Part(body), part), lined=True)
