"""The demo: one Gradio app, one file a tab."""

import os

# Before anything imports gradio: it reads both on import, and would call home (or wait for it without a network).
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
