"""Run the tests, after making the environment they need.

    python scripts/test.py [--install-only] [pytest arguments]

The same environment as that of `scripts/demo.py`, with the developers' tools
added. Without arguments the whole suite runs, a worker for each core (four at
most); any arguments are pytest's, with paths as seen from the repository root:

    python scripts/test.py tests/test_imports.py -k upward

    --install-only   make the environment and stop
    -h, --help       this text
"""

import os
import sys

from _environment import ROOT, hand_over, prepare

# A file belongs to one worker, so that what its tests share is made once.
WHOLE = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"]


def main(arguments: list) -> int:
    if "-h" in arguments or "--help" in arguments:
        print(__doc__.strip())
        return 0
    python = prepare("demo", "dev")  # dev brings demo with it: naming both lets a later demo start see that it is there
    if "--install-only" in arguments:
        return 0
    os.chdir(str(ROOT))
    return hand_over([str(python), "-m", "pytest", *(arguments or WHOLE)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
