"""`lookalike serve`: the function on this machine."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Serve:
    """Start the function on this machine, as it runs in the cloud, with its demo page."""

    root: str
    """Where releases are kept: a folder or gs://bucket/prefix."""
    port: int = 8080
    """The port to listen on."""
    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 lets other machines in."""
    engine: Literal["openvino", "jax"] = "openvino"
    """What runs the network: openvino is fastest on a CPU, jax uses a GPU or TPU."""

    def __call__(self) -> None:
        """Serve until interrupted."""
        from trainer import serving

        serving.serve(self.root, host=self.host, port=self.port, engine=self.engine)
