"""Cython kept in a process of its own: it takes most of a second to start, for hundreds of builds.

There garbage is collected between translations only: in a process as large as that of the tests
to look for it takes nearly as long as to translate.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path


class Translator:
    """A process that translates sources, one after the other, for all threads of this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def translated(self, folder: Path, name: str) -> bool:
        """Translate a source, to the same C as the command makes; False if that fails."""
        with self._lock:
            process = self._process = self._process or _started()
            try:
                process.stdin.write(json.dumps([str(folder.absolute()), name]) + "\n")
                process.stdin.flush()
                answer = process.stdout.readline()
            except BaseException:  # Ctrl-C: its answer would be taken for that to the next
                process.kill()
                self.close()
                raise
            return answer == "fine\n"

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


def _started() -> subprocess.Popen[str]:
    # in a session of its own: Ctrl-C, which some tests press, is not for it
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
    return subprocess.Popen([sys.executable, __file__], text=True, **pipes)


def translate(folder: str, name: str) -> bool:
    """Translate a source in its folder; False if that fails, for which there is the command."""
    from Cython.Compiler import Options
    from Cython.Compiler.Main import CompilationOptions, compile

    into = {"module_name": name, "output_file": f"{name}.c"}
    options = CompilationOptions(Options.default_options, language_level=3, **into)
    os.chdir(folder)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            return compile(f"{name}.pyx", options).num_errors == 0
        except Exception:
            return False
        finally:
            os.chdir("/")


def main() -> None:
    """Translate what is asked for, line by line."""
    gc.disable()
    for line in sys.stdin:
        answer = "fine" if translate(*json.loads(line)) else "failed"
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
        gc.collect()
        gc.freeze()  # what is left is Cython's own, and need not be looked at again


if __name__ == "__main__":
    main()
