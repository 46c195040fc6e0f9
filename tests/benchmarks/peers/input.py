"""Photos a second through a torch DataLoader, with the augmentation that torchvision's users write.

    python input.py FOLDER --size 224 --workers 2 --batch 64 --seconds 3

RandomResizedCrop, mirror image and colour jitter as torchvision does them to Pillow's images, in
plain Pillow: the factors in random order, hue through HSV. It is favoured twice over what is
usually written: a JPEG is decoded at the smallest scale that is enough, and pixels stay bytes.
"""

# ruff: noqa: S311 - nothing secret is drawn here
import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch.utils.data import DataLoader, Dataset

SCALE = (0.3, 1.0)
RATIO = (3 / 4, 4 / 3)
STRENGTH = 0.3
HUE = 0.02


class Photos(Dataset):
    def __init__(self, files, size, photos):
        self.files, self.size, self.photos = files, size, photos

    def __len__(self):
        return self.photos

    def __getitem__(self, number):
        with Image.open(self.files[number % len(self.files)]) as image:
            needed = math.ceil(self.size / math.sqrt(SCALE[0]))
            image.draft("RGB", (needed, needed))
            image = image.convert("RGB")
        image = jitter(resized_crop(image, self.size))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return pixels, number % 2


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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    photos = Photos(sorted(arguments.folder.iterdir()), arguments.size, 10**6)
    loader = DataLoader(
        photos, arguments.batch, shuffle=False, num_workers=arguments.workers, drop_last=True
    )
    batches = iter(loader)
    # What was made while nothing was asked for does not count.
    for _ in range(2 * arguments.workers + 2):
        next(batches)
    start, seen = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < arguments.seconds:
        seen += len(next(batches)[0])
    print(json.dumps({"images_per_second": seen / seconds, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
