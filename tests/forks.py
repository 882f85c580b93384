"""Python processes without their imports' cost: one process imports once, and each run is a fork of it.

A fork is a process like any other: it has its own streams, folder, exit status, CPU seconds and memory. Tests about the
start of the interpreter take `python` of conftest.py instead.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LENGTH = 8  # bytes of a message's length


class Forks:
    """The process that forks. before: code that it runs once; its names are there in each fork."""

    def __init__(self, before: str) -> None:
        self.before, self.environment = before, environment()
        self.socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno()), before]
            null = subprocess.DEVNULL
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=null, stdout=null)

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.process.wait()

    def run(
        self,
        code: str,
        *args: str,
        stdin: str | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: int = 300,
    ) -> subprocess.CompletedProcess[str]:
        """The outcome of a fork that runs this code, as of `python -c CODE ARGS`. env: set on top of the environment.

        A fork that takes longer is ended by SIGALRM, wherever it hangs.
        """
        now = environment()
        changed = {
            name: now.get(name) for name in {*now, *self.environment} if now.get(name) != self.environment.get(name)
        }
        request = {"code": code, "args": args, "timeout": timeout, "env": {**changed, **(env or {})}}
        request["cwd"] = str(cwd or Path.cwd())
        ours, theirs = [], []
        for writes in (True, False, False):
            reading, writing = os.pipe()
            ours.append(writing if writes else reading)
            theirs.append(reading if writes else writing)
        body = json.dumps(request).encode()
        try:
            socket.send_fds(self.socket, [len(body).to_bytes(LENGTH, "little")], theirs)
            self.socket.sendall(body)
        except OSError as error:
            raise ChildProcessError(f"the process that forks is gone, status {self.process.wait()}") from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        into, *out = (
            os.fdopen(descriptor, mode, encoding="utf-8") for descriptor, mode in zip(ours, "wrr", strict=True)
        )
        texts = ["", ""]
        threads = [threading.Thread(target=write, args=(into, stdin or ""))]
        threads += [threading.Thread(target=read, args=(file, texts, i)) for i, file in enumerate(out)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answer = self.socket.recv(LENGTH)
        if not answer:
            raise ChildProcessError(f"the process that forks is gone, status {self.process.wait()}")
        status = int.from_bytes(answer, "little", signed=True)
        return subprocess.CompletedProcess(["-c", *args], status, *texts)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def write(file: Any, text: str) -> None:
    try:
        with file:
            file.write(text)
    except BrokenPipeError:
        pass  # the fork did not read all of it


def read(file: Any, texts: list[str], place: int) -> None:
    with file:
        texts[place] = file.read()


def serve(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each message. Returns its request in a fork, and None in the first process when nobody asks any more."""
    while True:
        header, descriptors, *_ = socket.recv_fds(channel, LENGTH, 3)
        if not header:
            return None
        size, body = int.from_bytes(header, "little"), b""
        while len(body) < size:
            body += channel.recv(size - len(body))
        child = os.fork()
        if child == 0:
            request: dict[str, Any] = json.loads(body)
            signal.alarm(request["timeout"])
            channel.close()
            for place, descriptor in enumerate(descriptors):
                os.dup2(descriptor, place)
                os.close(descriptor)
            return request
        for descriptor in descriptors:
            os.close(descriptor)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        channel.sendall(status.to_bytes(LENGTH, "little", signed=True))


def run_and_exit(code: str, names: dict[str, Any]) -> None:
    """Run code and end the process as the interpreter does, but for taking every module apart first."""
    status: Any = 0
    try:
        exec(code, names)
    except SystemExit as error:
        status = error.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(sys.argv[2], names)
    gc.freeze()
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        os.chdir(request["cwd"])
        for name, value in request["env"].items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        sys.argv = ["-c", *request["args"]]
        run_and_exit(request["code"], names)


if __name__ == "__main__":
    main()
