"""What the trainer raises when a person can mend the cause.

LookalikeError            the command line prints its text without a traceback, exit status 1
├── CatalogError          a catalogue that cannot be read: the file, the row, what was expected
├── WeightsError          pretrained weights whose names or shapes do not fit the model
├── TrainingError         training cannot start or go on
│   ├── DamagedCheckpoint a checkpoint that cannot be read, or holds other bits than were saved
│   ├── ExperimentChanged the run folder belongs to another experiment
│   ├── PeersUnreachable  the other processes of a cluster do not come
│   └── NotFinite         the loss or a gradient became NaN or infinite
├── PublishError          a release that would not serve, or a publisher that lost the race
│   └── UnreadablePhoto   a photo that cannot be read or decoded, where all must be
├── DatabaseError         a PostgreSQL that cannot be reached, or refuses what is asked of it
└── RegistryError         a published release that cannot be compared, promoted or removed
"""


class LookalikeError(Exception):
    """A problem that its message lets a person mend: expected, found, what to do."""


class CatalogError(LookalikeError):
    """A catalogue that cannot be read, or a photo in it."""


class WeightsError(LookalikeError):
    """Pretrained weights that do not fit the model, tensor by tensor."""


class TrainingError(LookalikeError):
    """Training cannot start or go on."""


class DamagedCheckpoint(TrainingError):
    """A checkpoint that cannot be read, or holds other bits than were saved."""


class ExperimentChanged(TrainingError):
    """The run folder holds another experiment or catalogue; the message shows the difference."""


class PeersUnreachable(TrainingError):
    """The other processes of a cluster do not come; a later attempt may find them."""


class NotFinite(TrainingError):
    """The loss or a gradient became NaN or infinite; the last good checkpoint is kept."""


class PublishError(LookalikeError):
    """A release that would not serve, or a publisher that lost the race for the pointer."""


class UnreadablePhoto(PublishError):
    """A photo that cannot be read or decoded, where all must be.

    Attributes:
        reason: what is wrong with it.
    """

    def __init__(self, place: str, reason: str) -> None:
        # Both, so that it can travel between processes.
        super().__init__(place, reason)
        self.reason = reason

    def __str__(self) -> str:
        return ": ".join(self.args)


class DatabaseError(LookalikeError):
    """A PostgreSQL that cannot be reached, or refuses what is asked of it."""


class RegistryError(LookalikeError):
    """A release that cannot be verified, compared, promoted, gone back to or removed."""
