#!/usr/bin/env bash
# torch.set_num_threads, documented as setting "the number of threads used for intraop parallelism on CPU", is neither of
# the process nor of the thread that calls it. A thread takes, at its first parallel work or question, the number that was
# set last by any thread, even where it has set another one itself; from then on no other thread changes it. So a pool of
# workers that set 1 leaves later threads with 1, and the main thread with 3 only if it has asked before. Fails once that
# changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import threading

import torch

seen = {}


class Thread(threading.Thread):
    """Sets a number, asks for it if it is told to, and asks for it at the end."""

    def __init__(self, name, number=None, *, ask=False):
        super().__init__()
        self.title, self.number, self.ask = name, number, ask
        self.ready, self.go_on = threading.Event(), threading.Event()

    def run(self):
        if self.number is not None:
            torch.set_num_threads(self.number)
        if self.ask:
            assert torch.get_num_threads() == self.number
        self.ready.set()
        self.go_on.wait()
        seen[self.title] = torch.get_num_threads()


threads = [
    Thread("set 3 and asked for it", 3, ask=True),
    Thread("set 2, and asks at the end", 2),
    Thread("set 1 last of all", 1),
    Thread("set none, and starts last"),
]
for thread in threads:
    thread.start()
    thread.ready.wait()
for thread in threads:
    thread.go_on.set()
    thread.join()
print("torch", torch.__version__)
print("expected: the same number in all threads, or what each has set")
print("seen:    ", seen)
assert list(seen.values()) == [3, 1, 1, 1], "it has changed"
PYTHON
