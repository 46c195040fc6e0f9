"""Photos a second through a torch DataLoader or Grain, augmented as torchvision's users do it.

    python input.py torch|grain FOLDER --size 224 --workers 2 --batch 64 --seconds 3

RandomResizedCrop, mirror image and colour jitter as torchvision does them to Pillow's images, in
plain Pillow: the factors in random order, hue through HSV. It is favoured twice over what is
usually written: a JPEG is decoded at the smallest scale that is enough, and pixels stay bytes.
"""

# ruff: noqa: S311 - nothing secret is drawn here
import argparse
import json
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

SCALE = (0.3, 1.0)
RATIO = (3 / 4, 4 / 3)
STRENGTH = 0.3
HUE = 0.02
PHOTOS = 10**6


def load(path, size):
    """A photo's square, RGB."""
    with Image.open(path) as image:
        needed = math.ceil(size / math.sqrt(SCALE[0]))
        image.draft("RGB", (needed, needed))
        image = image.convert("RGB")
    return np.array(jitter(resized_crop(image, size)))


def resized_crop(image, size):
    width, height = image.size
    for _ in range(10):
        area = width * height * random.uniform(*SCALE)
        ratio = math.exp(random.uniform(*map(math.log, RATIO)))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            break
    else:
        wide = high = min(width, height)
    left, top = random.randint(0, width - wide), random.randint(0, height - high)
    image = image.crop((left, top, left + wide, top + high))
    image = image.resize((size, size), Image.Resampling.BILINEAR)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image


def jitter(image):
    changes = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color, None]
    random.shuffle(changes)
    for change in changes:
        if change is None:
            image = turn_hue(image, random.uniform(-HUE, HUE))
        else:
            image = change(image).enhance(random.uniform(1 - STRENGTH, 1 + STRENGTH))
    return image


def turn_hue(image, turn):
    hue, saturation, value = image.convert("HSV").split()
    # Bytes wrap around, as the circle does.
    turned = np.array(hue) + np.int16(turn * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")


def torch_batches(files, size, workers, batch):
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Photos(Dataset):
        def __len__(self):
            return PHOTOS

        def __getitem__(self, number):
            pixels = torch.from_numpy(load(files[number % len(files)], size))
            return pixels.permute(2, 0, 1).contiguous(), number % 2

    return iter(DataLoader(Photos(), batch, num_workers=workers, drop_last=True))


def grain_batches(files, size, workers, batch):
    import grain
    from absl import flags

    flags.FLAGS([sys.argv[0]])  # Grain's worker processes read absl's flags
    photos = grain.MapDataset.range(PHOTOS).map(
        lambda number: (load(files[number % len(files)], size), number % 2)
    )
    batches = photos.to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=8))
    batches = batches.batch(batch, drop_remainder=True)
    return iter(batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("loader", choices=("torch", "grain"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    open_loader = {"torch": torch_batches, "grain": grain_batches}[arguments.loader]
    files = sorted(arguments.folder.iterdir())
    batches = open_loader(files, arguments.size, arguments.workers, arguments.batch)
    # What was made while nothing was asked for does not count.
    for _ in range(2 * arguments.workers + 2):
        next(batches)
    start, seen = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < arguments.seconds:
        seen += len(next(batches)[0])
    print(json.dumps({"images_per_second": seen / seconds}))


if __name__ == "__main__":
    main()
