"""Things for people: shoes, bags, and a duck for the bath."""

import numpy as np

from trainer.data.studio.distance import (
    Distances,
    Points,
    box,
    cylinder,
    ellipsoid,
    footprint,
    limb,
    mirrored,
    overlap,
    ring,
    smooth_union,
    sphere,
    union,
)
from trainer.data.studio.shape import Part, Shape, Slot, Traits, between, pick


def shoe(t: Traits) -> Shape:
    sole, length = between(0.04, 0.085, t[0]), between(0.54, 0.68, t[1])
    ankle, toe = between(0.5, 1.0, t[2]), between(0.2, 0.29, t[3])
    heel = between(0.22, 0.28, t[4])
    cap = t[5] > 0.5
    closing = pick(("laces", "strap", "laces", "slip"), t[6])
    platform = between(0.0, 0.07, t[7])
    top = 2 * sole + platform

    def upper(p: Points) -> Distances:
        foot = limb(p, (-length + 0.05, top + 0.2, 0.0), (length, top + 0.08, 0.0), heel, toe)
        shaft = limb(
            p,
            (-length + 0.08, top + 0.2, 0.0),
            (-length + 0.1, ankle + 0.3, 0.0),
            heel,
            heel - 0.02,
        )
        d = smooth_union(foot, shaft, 0.22)
        opening = limb(
            p,
            (-length + 0.12, ankle * 0.8, 0.0),
            (-length + 0.1, 2.5, 0.0),
            heel - 0.08,
            heel - 0.06,
        )
        d = overlap(d, -opening, p[1] - top + 0.04 - ankle)
        return overlap(d, top - 0.03 - p[1])

    def base(p: Points) -> Distances:
        start, end = (-length + 0.05, 0.5 * top, 0.0), (length, 0.5 * top, 0.0)
        return footprint(p, start, end, heel + 0.03, toe + 0.05, 0.5 * top, 0.04)

    def toe_cap(p: Points) -> Distances:
        foot = limb(p, (-length + 0.05, top + 0.2, 0.0), (length, top + 0.08, 0.0), heel, toe)
        return overlap(foot - 0.015, length - 0.06 - p[0], top - 0.03 - p[1])

    def fastening(p: Points) -> Distances:
        folded = mirrored(p, z=True)
        d: Distances = np.full_like(p[0], np.inf)
        steps = (0.05, 0.2, 0.35) if closing == "laces" else (0.1,)
        thickness = 0.028 if closing == "laces" else 0.06
        for x in steps:
            part = (x + length) / (2 * length)
            y = top + 0.2 - 0.12 * part + (heel + (toe - heel) * part) + 0.05 * (0.35 - x)
            d = union(d, limb(folded, (x, y, 0.0), (x + 0.04, y - 0.1, 0.17), thickness, thickness))
        return d

    parts = [Part(upper), Part(base, Slot.ACCENT)]
    if cap:
        parts.append(Part(toe_cap, Slot.ACCENT))
    if closing != "slip":
        parts.append(Part(fastening, Slot.DETAIL))
    return Shape(tuple(parts), mapping="flat")


def bag(t: Traits) -> Shape:
    width, height = between(0.52, 0.85, t[0]), between(0.7, 1.15, t[1])
    depth, taper = between(0.18, 0.32, t[2]), between(-0.3, 0.3, t[3])
    rounding = between(0.05, 0.16, t[4])
    handle = pick(("pair", "arch", "strap"), t[5])
    front = pick(("flap", "pocket", "none", "band"), t[6])
    size = between(0.26, 0.42, t[7])

    def body(p: Points) -> Distances:
        scale = 1.0 + taper * (p[1] / height - 0.5)
        bent = np.stack([p[0] * scale, p[1], p[2] * scale])
        d = box(bent, (0.0, 0.5 * height, 0.0), (width, 0.5 * height, depth), rounding)
        return d * 0.82  # the taper stretches space

    def carry(p: Points) -> Distances:
        if handle == "pair":
            d = ring(mirrored(p, z=True), (0.0, height, 0.6 * depth), size, 0.04, size + 0.1)
        elif handle == "arch":
            d = ring(p, (0.0, height - 0.05, 0.0), size, 0.065)
        else:
            d = ring(p, (0.0, 0.75 * height, 0.0), 0.86 * width, 0.035, 0.86 * width + 0.25)
        return overlap(d, 0.8 * height - p[1])

    parts = [Part(body), Part(carry, Slot.ACCENT)]
    scale = 1.0 / (1.0 + 0.25 * abs(taper))
    if front == "flap":
        half = (scale * width * 0.93, 0.22 * height, 0.05)
        at = (0.0, 0.76 * height, depth + 0.005)
        parts.append(Part(lambda p: box(p, at, half, 0.04), Slot.ACCENT))
        clasp = (0.0, 0.56 * height, depth + 0.05)
        parts.append(Part(lambda p: sphere(p, clasp, 0.075), Slot.DETAIL))
    elif front == "pocket":
        half = (0.6 * width, 0.2 * height, 0.05)
        at = (0.0, 0.34 * height, depth + 0.01)
        parts.append(Part(lambda p: box(p, at, half, 0.04), Slot.ACCENT))
    elif front == "band":
        half = (0.09, 0.5 * height + 0.01, depth + 0.02)
        at = (0.0, 0.5 * height, 0.0)
        parts.append(Part(lambda p: box(mirrored(p, x=True), (0.5 * width, *at[1:]), half, 0.05),
                          Slot.ACCENT))  # fmt: skip
    return Shape(tuple(parts), mapping="flat")


def duck(t: Traits) -> Shape:
    long, fat = between(0.55, 0.78, t[0]), between(0.38, 0.52, t[1])
    skull = between(0.28, 0.42, t[2])
    neck = between(0.0, 0.28, t[3])
    head = (0.6 * long, 1.55 * fat + 0.6 * skull + neck, 0.0)
    beak = between(0.14, 0.26, t[4])
    tail = between(0.15, 0.4, t[5])
    dress = pick(("none", "hat", "scarf", "none", "crown"), t[6])
    wing = between(0.2, 0.34, t[7])

    def body(p: Points) -> Distances:
        d = ellipsoid(p, (0.0, 0.95 * fat, 0.0), (long, fat, 0.9 * fat))
        d = smooth_union(
            d, limb(p, (-0.6 * long, fat, 0.0), (-long - 0.12, fat + tail, 0.0), 0.24, 0.05), 0.2
        )
        d = smooth_union(
            d, limb(p, (0.45 * long, fat, 0.0), (0.56 * long, head[1], 0.0), 0.3, 0.2), 0.16
        )
        side = ellipsoid(
            mirrored(p, z=True), (-0.1, 1.05 * fat, 0.84 * fat), (1.35 * wing, 0.8 * wing, 0.1)
        )
        d = union(d, sphere(p, head, skull))
        return overlap(smooth_union(d, side, 0.05), -p[1])

    mouth = (head[0] + skull + 0.3 * beak, head[1] - 0.1 * skull, 0.0)
    eye = (head[0] + 0.72 * skull, head[1] + 0.32 * skull, 0.58 * skull)
    parts = [
        Part(body),
        Part(lambda p: ellipsoid(p, mouth, (beak, 0.075, 0.17)), Slot.ACCENT),
        Part(lambda p: sphere(mirrored(p, z=True), eye, 0.065), Slot.DETAIL),
    ]
    crown = head[1] + 0.86 * skull
    if dress == "hat":
        parts.append(
            Part(
                lambda p: union(
                    cylinder(p, (head[0], crown, 0.0), 0.34, 0.03),
                    cylinder(p, (head[0], crown + 0.17, 0.0), 0.2, 0.18),
                ),
                Slot.ACCENT,
            )
        )
    elif dress == "scarf":
        parts.append(
            Part(
                lambda p: cylinder(
                    p, (0.57 * long, head[1] - 0.9 * skull, 0.0), 0.33, 0.08, rounding=0.07
                ),
                Slot.ACCENT,
            )
        )
    elif dress == "crown":
        parts.append(
            Part(
                lambda p: overlap(
                    cylinder(p, (head[0], crown + 0.06, 0.0), 0.21, 0.14),
                    p[1] - crown - 0.1
                    - 0.06 * np.cos(6 * np.arctan2(p[2], p[0] - head[0])),
                ),
                Slot.ACCENT,
            )
        )  # fmt: skip
    return Shape(tuple(parts), mapping="flat")
