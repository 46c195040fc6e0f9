"""Things for a room: lamps, chairs, side tables, clocks."""

import numpy as np
from jaxtyping import Bool, Float32

from trainer.data.studio.distance import (
    Distances,
    Points,
    box,
    curve,
    cylinder,
    hollow,
    limb,
    mirrored,
    overlap,
    ring,
    solid,
    sphere,
    turned,
    union,
)
from trainer.data.studio.shape import Part, Shape, Slot, Traits, between, pick


def lamp(t: Traits) -> Shape:
    top, bottom = between(0.22, 0.5, t[0]), between(0.5, 0.82, t[1])
    shade_height, stand = between(0.45, 0.78, t[2]), between(0.75, 1.15, t[3])
    shade = turned(
        hollow(
            np.array([[bottom, stand], [top, stand + shade_height]], np.float32),
            wall=0.05,
            floor=False,
        ),
        rounding=0.01,
    )
    foot, width = between(0.26, 0.46, t[5]), between(0.2, 0.42, t[6])
    kind = pick(("gourd", "stem", "cone", "balls"), t[4])
    if kind == "gourd":
        line = curve((foot, 0.0), (width + 0.06, 0.3 * stand), (0.1, 0.8 * stand), (0.05, stand))
    elif kind == "cone":
        line = curve((foot + 0.06, 0.0), (foot, 0.08), (0.09, 0.7 * stand), (0.05, stand))
    elif kind == "stem":
        line = curve((foot, 0.0), (foot, 0.06), (0.06, 0.12), (0.045, stand), samples=4)
    else:
        r = 0.8 * width
        line = curve(
            (foot, 0.0), (0.09, 0.08), (r, 0.28 * stand), (0.09, 0.5 * stand),
            (0.8 * r, 0.72 * stand), (0.06, 0.92 * stand), (0.05, stand),
        )  # fmt: skip
    base = turned(solid(line), rounding=0.01)
    middle, half = stand + 0.4 * shade_height, 0.45 * shade_height
    return Shape(
        (
            Part(shade),
            Part(base, Slot.ACCENT),
            Part(lambda p: cylinder(p, (0.0, middle, 0.0), 0.035, half), Slot.DETAIL),
        ),
    )


def chair(t: Traits) -> Shape:
    width, depth = between(0.44, 0.6, t[0]), between(0.42, 0.52, t[1])
    height, thickness = between(0.72, 0.98, t[2]), between(0.05, 0.13, t[3])
    back, splay = between(0.5, 0.95, t[4]), between(0.0, 0.16, t[5])
    style = pick(("panel", "slats", "ladder", "round", "arms"), t[6])
    leg = between(0.045, 0.075, t[7])
    seat, top = height + thickness, height + thickness + back
    rear = 0.05 - depth

    def body(p: Points) -> Distances:
        d = box(p, (0.0, height, 0.0), (width, thickness, depth), 0.05)
        if style in ("panel", "arms"):
            half = (width, 0.5 * back + 0.05, 0.055)
            return union(d, box(p, (0.0, seat + 0.5 * back, rear), half, 0.05))
        folded = mirrored(p, x=True)
        if style == "slats":
            rail = box(p, (0.0, top, rear), (width, 0.07, 0.05), 0.04)
            posts = limb(folded, (width - 0.06, height, rear), (width - 0.06, top, rear), leg, leg)
            inner = limb(
                folded, (0.33 * width, height, rear), (0.33 * width, top, rear), 0.04, 0.04
            )
            return union(d, rail, posts, inner)
        if style == "ladder":
            posts = limb(folded, (width - 0.06, height, rear), (width - 0.06, top, rear), leg, leg)
            half = (width, 0.085, 0.045)
            high = box(p, (0.0, top - 0.02, rear), half, 0.03)
            low = box(p, (0.0, seat + 0.45 * back, rear), half, 0.03)
            return union(d, posts, high, low)
        disc = cylinder(p, (0.0, seat + 0.5 * back, rear), 0.5 * back + 0.06, 0.05, axis=2)
        return union(d, disc)

    def legs(p: Points) -> Distances:
        x, z = width - 0.09, depth - 0.09
        return limb(
            mirrored(p, x=True, z=True),
            (x, height, z),
            (x + splay, 0.0, z + splay),
            1.15 * leg,
            0.75 * leg,
        )

    parts = [Part(body), Part(legs, Slot.ACCENT)]
    if style == "arms":
        rest = (width + 0.02, seat + 0.3, 0.0)
        parts.append(Part(lambda p: box(mirrored(p, x=True), rest, (0.07, 0.06, depth), 0.05)))
        prop = (width + 0.02, seat, depth - 0.1)
        parts.append(
            Part(
                lambda p: limb(
                    mirrored(p, x=True), prop, (prop[0], seat + 0.3, prop[2]), 0.045, 0.045
                ),
                Slot.ACCENT,
            )
        )
    return Shape(tuple(parts), mapping="flat")


def table(t: Traits) -> Shape:
    width, height = between(0.66, 0.98, t[0]), between(0.75, 1.35, t[1])
    thickness, leg = between(0.05, 0.12, t[2]), between(0.05, 0.085, t[3])
    round_top = t[4] > 0.5
    stance = pick(("legs", "splayed", "pedestal", "shelf", "drawer"), t[5])
    depth = width if round_top else width * between(0.55, 1.0, t[6])
    shelf = between(0.25, 0.45, t[7]) * height

    def plate(p: Points, y: float, scale: float) -> Distances:
        if round_top:
            return cylinder(p, (0.0, y, 0.0), scale * width, thickness, rounding=0.03)
        return box(p, (0.0, y, 0.0), (scale * width, thickness, scale * depth), 0.03)

    def body(p: Points) -> Distances:
        d = plate(p, height, 1.0)
        if stance == "shelf":
            return union(d, plate(p, shelf, 0.78))
        if stance == "drawer":
            half = (0.74 * width, 0.17, 0.74 * depth if not round_top else 0.6 * width)
            return union(d, box(p, (0.0, height - 0.2, 0.0), half, 0.02))
        return d

    splay = 0.16 if stance == "splayed" else 0.0

    def stand(p: Points) -> Distances:
        if stance == "pedestal":
            column = limb(p, (0.0, height, 0.0), (0.0, 0.05, 0.0), 1.1 * leg, 1.7 * leg)
            return union(column, cylinder(p, (0.0, 0.05, 0.0), 0.55 * width, 0.05))
        inset = 0.68 if round_top else 0.86
        x, z = inset * width - 0.02, inset * depth - 0.02
        foot = (x + splay, 0.0, z + splay)
        return limb(mirrored(p, x=True, z=True), (x, height, z), foot, leg, 0.7 * leg)

    parts = [Part(body), Part(stand, Slot.ACCENT)]
    if stance == "drawer":
        knob = (0.0, height - 0.2, (0.74 * depth if not round_top else 0.6 * width) + 0.04)
        parts.append(Part(lambda p: sphere(p, knob, 0.065), Slot.DETAIL))
    return Shape(tuple(parts), mapping="flat")


def clock(t: Traits) -> Shape:
    radius, depth = between(0.55, 0.8, t[0]), between(0.14, 0.3, t[1])
    style = pick(("bells", "ring", "mantel", "feet", "arch"), t[2])
    rim = between(0.06, 0.16, t[3])
    lift = 0.08 if style in ("mantel", "arch") else between(0.1, 0.2, t[4])
    center = (0.0, radius + lift, 0.0)
    front = depth + 0.01
    dial = radius - rim
    hour, minute = between(0.0, 2 * np.pi, t[5]), between(0.0, 2 * np.pi, t[6])
    ticks = pick((4, 12, 12, 0), t[7])

    def case(p: Points) -> Distances:
        if style == "mantel":
            return box(p, center, (radius + 0.1, radius + 0.06, depth), 0.07)
        d = cylinder(p, center, radius, depth, axis=2, rounding=0.05)
        if style == "arch":
            half = (radius + 0.12, 0.5 * center[1], depth)
            d = union(d, box(p, (0.0, half[1], 0.0), half, 0.03))
        return d

    def ink(p: Points) -> Float32[np.ndarray, " n"]:
        x, y = p[0] - center[0], p[1] - center[1]
        rho, angle = np.sqrt(x * x + y * y) / dial, np.arctan2(x, y)

        def hand(at: float, reach: float, thickness: float) -> Bool[np.ndarray, " n"]:
            along, across = x * np.sin(at) + y * np.cos(at), x * np.cos(at) - y * np.sin(at)
            on: Bool[np.ndarray, " n"] = (along > 0) & (along < reach * dial)
            on &= np.abs(across) < thickness * dial
            return on

        printed = hand(hour, 0.5, 0.075) | hand(minute, 0.78, 0.055) | (rho < 0.11)
        if ticks:
            sector = np.abs((angle * ticks / (2 * np.pi) + 0.5) % 1.0 - 0.5) * 2 * np.pi / ticks
            printed |= (sector * rho < 0.06) & (rho > 0.76) & (rho < 0.94)
        return np.asarray(printed, np.float32)

    parts = [
        Part(case),
        Part(
            lambda p: cylinder(p, (0.0, center[1], front), dial, 0.02, axis=2, rounding=0.005),
            Slot.FACE,
        ),
    ]
    if style in ("bells", "ring", "feet"):
        foot, hip = (0.62 * radius, 0.0, 0.0), (0.45 * radius, 0.5 * radius, 0.0)
        parts.append(Part(lambda p: limb(mirrored(p, x=True), foot, hip, 0.06, 0.08), Slot.ACCENT))
    top = center[1] + radius
    if style == "bells":
        bell = (0.5 * radius, top - 0.05, 0.0)
        parts.append(
            Part(
                lambda p: overlap(sphere(mirrored(p, x=True), bell, 0.24), bell[1] + 0.02 - p[1]),
                Slot.ACCENT,
            )
        )
    if style == "ring":
        parts.append(Part(lambda p: ring(p, (0.0, top + 0.1, 0.0), 0.16, 0.045), Slot.ACCENT))
    return Shape(tuple(parts), mapping="flat", ink=ink)
