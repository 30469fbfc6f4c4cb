"""Run a command in this process group; `visemix.generators.external.runner` starts this file.

Standard library only, so that `python -I -S` starts it at once. Standard input is a pipe that its
parent holds open and never writes to: when it ends, the parent has died, however it died, and the
whole group is killed. A termination signal is left to the command; the exit status is the
command's, or 128 and the number of the signal that ended it.
"""

import os
import signal
import subprocess
import sys
import threading


def kill_with_parent() -> None:
    os.read(0, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=kill_with_parent, daemon=True).start()
    status = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL).wait()
    os._exit(status if status >= 0 else 128 - status)
