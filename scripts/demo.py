"""Start the demo in the browser, after making the environment it needs.

    python scripts/demo.py [--port N] [--no-browser] [--install-only] [...]

The first start makes `.venv` in the repository root (or in the folder that the
environment variable TRANSLATE_VENV names) and installs the project there; later
starts reuse it and take seconds. Needs Python 3.11 or newer and nothing else.

    --port N         serve on port N
    --no-browser     do not open the browser
    --install-only   make the environment and stop
    -h, --help       this text

All other arguments go to `translate demo`.
"""

import sys

from _environment import hand_over, prepare

# The demo sends nothing anywhere: neither Gradio's analytics nor Hugging Face's telemetry.
ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def main(arguments: list) -> int:
    if "-h" in arguments or "--help" in arguments:
        print(__doc__.strip())
        return 0
    python = prepare("demo")
    if "--install-only" in arguments:
        return 0
    # -P: a folder named `translate` where the user happens to be must not stand in for the package.
    return hand_over([str(python), "-P", "-m", "translate", "demo", *arguments], ENVIRONMENT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
