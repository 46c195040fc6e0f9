"""Options that several commands share."""

from typing import Literal

type OnBadPhoto = Literal["skip", "fail"]
