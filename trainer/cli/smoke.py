"""`lookalike smoke`: whether a running function answers as its release says."""

from dataclasses import asdict, dataclass
from pathlib import Path

from trainer.cli.output import print_json
from trainer.errors import LookalikeError
from trainer.progress import console


@dataclass(frozen=True)
class Smoke:
    """Ask a running function for its release's golden photos; exit 1 where an answer is wrong.

    It waits until the function is ready and names the root's current release. Then it posts the
    photos that the release keeps with the vectors they must give, and compares each best score and
    product with what the stored vectors of the release say. Run it before a revision gets traffic.
    """

    url: str
    """The function's address, as https://candidate---lookalike-….run.app."""
    root: str
    """Where its releases are kept: a folder or gs://bucket/prefix."""
    token_file: Path | None = None
    """File with an identity token, for a service that is closed by IAM:
    <(gcloud auth print-identity-token)"""
    key_file: Path | None = None
    """File with an access key, for a function with LOOKALIKE_API_KEYS."""
    wait: float = 300.0
    """Seconds that the function may take to be ready and to serve the current release."""
    json: bool = False
    """Print what was answered as JSON on stdout, and nothing else there."""

    def __call__(self) -> None:
        """Check, and say what was checked."""
        from trainer.smoke.check import smoke

        headers = {}
        if self.token_file is not None:
            headers["Authorization"] = f"Bearer {_secret('--token-file', self.token_file)}"
        if self.key_file is not None:
            headers["X-Api-Key"] = _secret("--key-file", self.key_file)
        report = smoke(self.url, self.root, headers=headers, wait_seconds=self.wait)
        if self.json:
            print_json(asdict(report))
            return
        scores = ", ".join(f"{photo.score:.4f}" for photo in report.photos)
        console.print(
            f"[green]✓[/] {report.url} serves release {report.release_id} and answers "
            f"{len(report.photos)} golden photos as it must: best scores {scores}",
            soft_wrap=True,
            highlight=False,
        )


def _secret(option: str, path: Path) -> str:
    try:
        text = path.read_text("ascii").strip()
    except OSError as error:
        raise LookalikeError(f"{option}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        text = ""
    # Whatever else it holds could end the header, and is not shown: it may be a secret.
    if not text or not text.isprintable() or " " in text:
        raise LookalikeError(f"{option}: expected one word in {path}; found something else.")
    return text
