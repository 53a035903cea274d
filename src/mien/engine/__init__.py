"""The face swap engine: pixels in, pixels out."""

import os

# ONNX Runtime's official builds report their use to Microsoft unless this is set before they are imported.
# What passes through Mien is nobody else's business.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
