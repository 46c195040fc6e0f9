"""Speed and memory, each against a named peer or limit of the same run; JSON and a table."""

import sys

# As in function.embedder: openvino's telemetry would fork this process, and report to its maker.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
