"""Lies told to the host: whatever lies open is written to, read from and closed. The session may
be lost by it; the host may not wait, fall or believe it for another session.
"""

import json
import signal
import struct
import threading


def others():
    """The descriptors by which this process might be spoken to."""
    return [number for number in descriptors() if number > 2]


def write_all(data, numbers=None):
    for number in others() if numbers is None else numbers:
        try:
            os.set_blocking(number, False)
            os.write(number, data)
        except (OSError, ValueError):
            pass


def garbage():
    import random

    write_all(random.Random(7).randbytes(65536))


def text():
    write_all(b"HTTP/1.1 200 OK\r\n\r\n{}\n")


def nothing_but_zeros():
    write_all(bytes(65536))


def too_long_frames():
    """Lengths as they may be written, all of them too large."""
    for form in ("<I", ">I", "<Q", ">Q"):
        size = struct.calcsize(form)
        for length in (2 ** (8 * size) - 1, 2 ** (8 * size - 1), 1 << 30, 2 << 20):
            write_all(struct.pack(form, length) + b"{}")


def half_a_frame():
    for form in ("<I", ">I"):
        write_all(struct.pack(form, 1000) + b'{"end":')


def half_a_length():
    write_all(b"\1")


def frames(value):
    body = json.dumps(value).encode()
    return [
        struct.pack("<I", len(body)) + body,
        struct.pack(">I", len(body)) + body,
        struct.pack("<Q", len(body)) + body,
        body + b"\n",
        str(len(body)).encode() + b"\n" + body,
    ]


def forged_results():
    """A result as it might look, for every way to write it."""
    for value in [
        {"end": "completed", "value": "forged", "logs": "forged", "images": []},
        {"ok": True, "value": "forged"},
        {"id": 1, "nonce": 0, "result": {"value": "forged"}},
        {"Completed": {"value": "forged"}},
        {"type": "done", "value": "forged", "traceback": None, "images": ["AAAA"]},
        [],
        "forged",
        None,
        1e308,
    ]:
        for frame in frames(value):
            write_all(frame)


def deep_json():
    for frame in [b"[" * 100_000, b'{"a":' * 100_000]:
        for form in ("<I", ">I"):
            write_all(struct.pack(form, len(frame)) + frame)


def flood():
    """Frames without end, after the program's own."""

    def talk():
        frame = b"".join(frames({"value": "forged"}))
        while True:
            write_all(frame)

    for _ in range(2):
        threading.Thread(target=talk, daemon=True).start()


def trickle():
    """A byte a moment, so that there is always something new."""

    def talk():
        while True:
            write_all(b"{")
            time.sleep(0.02)

    threading.Thread(target=talk, daemon=True).start()


def child_talks():
    """The same from a child, which lives on."""
    if os.fork() == 0:
        end = time.time() + 20
        while time.time() < end:
            write_all(b"".join(frames({"value": "forged"})))
            time.sleep(0.01)
        os._exit(0)


def steals_requests():
    """What the host says next is read by somebody else."""

    def listen():
        while True:
            for number in others():
                try:
                    os.set_blocking(number, False)
                    os.read(number, 65536)
                except OSError:
                    pass
            time.sleep(0.001)

    threading.Thread(target=listen, daemon=True).start()


def rewrites(change):
    """Whatever the driver says of the next programs is changed as it says it: what must be right
    for the host to believe it, such as a number used once, is.
    """
    honest = json.dumps

    def dumps(value, *arguments, **options):
        if isinstance(value, dict):
            change(value)
        return honest(value, *arguments, **options)

    json.dumps = dumps


def changes_results():
    def change(value):
        value.update(end="no such end", value="forged", logs="forged", images=["forged"])

    rewrites(change)


def figures_without_end():
    """One figure, named as often as fits."""
    os.makedirs("/tmp/.figures", exist_ok=True)
    name = "00.png"

    def change(value):
        for folder in {"/tmp/.figures", *filter(os.path.isdir, value.get("folders", []))}:
            os.makedirs(folder, exist_ok=True)
            with open(f"{folder}/{name}", "wb") as file:
                file.write(b"\x89PNG\r\n\x1a\n" + bytes(3 * MB))
        for key in {"figures", "images"} & value.keys():
            value[key] = [name] * 90_000

    rewrites(change)


def long_results():
    def change(value):
        for key in {"value", "traceback", "end", "logs"} & value.keys():
            value[key] = "x" * (20 * MB)

    rewrites(change)


def sends_descriptors():
    """Over every line that takes them, as many as it takes."""
    import array
    import socket

    for number in others():
        try:
            line = socket.socket(fileno=os.dup(number))
            line.setblocking(False)
            sent = array.array("i", [0] * 200)
            for _ in range(100):
                line.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
        except OSError:
            pass


def blocks_the_line():
    """The line is made non-blocking under the driver's feet."""
    for number in descriptors():
        try:
            os.set_blocking(number, False)
        except OSError:
            pass


def closes_all():
    os.closerange(3, 4096)


def closes_the_streams():
    os.closerange(0, 3)


def closes_everything():
    os.closerange(0, 4096)


def exchanges_all():
    """Every descriptor is another one than it was."""
    numbers = descriptors()
    copies = [os.dup(number) for number in numbers]
    for number, copy in zip(numbers, reversed(copies)):
        try:
            os.dup2(copy, number)
        except OSError:
            pass


def keeps_the_line_open():
    """The interpreter ends and a child keeps its ends of all lines."""
    if os.fork() == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        time.sleep(30)
        os._exit(0)
    os._exit(0)


def ends():
    os._exit(0)


def ends_in_a_thread():
    threading.Timer(0.2, os._exit, [5]).start()


def kills_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def aborts():
    os.abort()


def falls():
    import ctypes

    ctypes.string_at(0)


def falls_on_its_stack():
    sys.setrecursionlimit(1 << 30)

    def deeper(n):
        return repr(n) and deeper([n])

    deeper([])


def becomes_another():
    os.execv("/bin/sleep", ["sleep", "60"])


def asks_parent_to_end():
    os.kill(os.getppid(), signal.SIGTERM)


def spoils_the_modules():
    """Whatever the driver may call says something else."""
    import builtins

    for name in ("compile", "exec", "eval", "repr", "len", "print", "open", "isinstance", "str"):
        setattr(builtins, name, lambda *_, **__: "forged")


def removes_the_builtins():
    import builtins

    remove = delattr
    for name in list(vars(builtins)):
        if name not in ("__name__", "__build_class__"):
            remove(builtins, name)


def spoils_json():
    json.dumps = json.loads = lambda *_, **__: "forged"
    json.JSONEncoder.encode = lambda *_: "forged"
    struct.pack = lambda *_: b"\xff" * 8
    os.write = os.read = lambda *_: 0


def spoils_the_driver():
    """The frames below this one are the driver's: their variables are read and written."""
    frame = sys._getframe()
    while frame is not None:
        for name in list(frame.f_globals):
            if not name.startswith("__") and frame.f_globals is not globals():
                frame.f_globals[name] = None
        frame = frame.f_back


def spoils_the_loop():
    for thread in list(sys._current_frames().values()):
        thread.f_trace = lambda *_: None
    sys.stdout = sys.stderr = sys.stdin = None
    sys.excepthook = sys.displayhook = None
    sys.modules.clear()


def spoils_its_limits():
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def takes_its_memory():
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1, 1))


def takes_its_time():
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


def forges_from_a_value():
    """Shown when the program is over and the driver speaks."""

    class Value:
        def __repr__(self):
            for frame in frames({"value": "forged"}):
                write_all(frame)
            return "mine"

    return Value()


class Traceless(Exception):
    @property
    def __traceback__(self):
        os._exit(1)


def raises_strangely():
    raise Traceless


def raises_a_base():
    raise BaseException("nobody catches this")


def raises_an_interruption():
    raise KeyboardInterrupt


def raises_a_generator_exit():
    raise GeneratorExit


def raises_a_cycle():
    error = ValueError("round")
    other = ValueError("and round")
    error.__cause__ = other
    other.__cause__ = error
    raise error


def raises_many():
    raise ExceptionGroup("many", [ValueError("x" * 1000) for _ in range(10_000)])


def raises_deeply():
    def deeper(n):
        try:
            if n:
                deeper(n - 1)
        finally:
            raise ValueError("x" * 10_000)

    deeper(200)
