"""Sets limits on itself and becomes another program: MEMORY CPU_SECONDS FILE_SIZE NICE PROGRAM ...

A process of its own does this, since nothing may run between fork and exec in a program with
threads. It keeps its process id, so the runner knows the job by it.
"""

from __future__ import annotations

import os
import resource
import sys


def main() -> None:
    memory, cpu_s, file_size, nice, *argv = sys.argv[1:]
    for what, most in (
        (resource.RLIMIT_AS, int(memory)),
        (resource.RLIMIT_CPU, int(cpu_s)),
        (resource.RLIMIT_FSIZE, int(file_size)),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    os.nice(int(nice))
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
