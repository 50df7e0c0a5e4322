"""Runs the programs it is sent, in one namespace, and says what came of each.

Frames are a length, four bytes little-endian, and that much JSON. What programs print goes
through their own two streams; only results go here.
"""

import ast
import builtins
import io
import json
import linecache
import os
import signal
import socket
import struct
import sys
import traceback
import types

FIGURES = "/tmp/.figures"
VALUE_CHARS = 64 << 10
TRACEBACK_CHARS = 32 << 10
FIGURES_AT_MOST = 20

HERE = __file__
running = False


def interrupt(_number, _frame):
    """A signal that comes between programs is for one that is over."""
    if running:
        raise KeyboardInterrupt


def receive(channel):
    """The next frame, or None at the end."""
    size = channel.recv(4, socket.MSG_WAITALL)
    if len(size) < 4:
        return None
    (length,) = struct.unpack("<I", size)
    body = channel.recv(length, socket.MSG_WAITALL)
    return json.loads(body) if len(body) == length else None


def send(channel, result):
    body = json.dumps(result).encode()
    channel.sendall(struct.pack("<I", len(body)) + body)


def shorten(text, most):
    """The beginning and the end of what is too long, in characters that can be written."""
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def explain(error):
    """The traceback as Python prints it, without the frames of this file."""
    told = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
    waiting, seen = [told], set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack[:] = [frame for frame in one.stack if frame.filename != HERE]
        waiting += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
    return "".join(told.format())


def parse(code, name):
    """The program's two parts: what is run, and the expression whose value is shown."""
    tree = ast.parse(code, name)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    shown = last and compile(last, name, "eval")
    return compile(tree, name, "exec"), shown


def execute(code, name, space, result):
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    body, last = parse(code, name)
    exec(body, space)
    value = eval(last, space) if last else None
    if value is None:
        return
    space["_"] = value
    picture = getattr(type(value), "_repr_png_", None)
    if picture and (image := picture(value)):
        save_image(image)
    result["value"] = shorten(repr(value), VALUE_CHARS)


def save_image(png):
    """Keeps a picture for the host to fetch."""
    os.makedirs(FIGURES, exist_ok=True)
    number = len(os.listdir(FIGURES))
    if number < FIGURES_AT_MOST:
        with open(f"{FIGURES}/{number:02}.png", "xb") as file:
            file.write(png)


def save_figures():
    """Keeps the figures that are open, and closes them."""
    backend = sys.modules.get("docent_figures")
    if backend and "matplotlib.pyplot" in sys.modules:
        backend.show()


def forget_figures():
    if os.path.isdir(FIGURES):
        for name in os.listdir(FIGURES):
            os.unlink(f"{FIGURES}/{name}")


def run(code, number, space):
    """Runs one program; gives what the host is told. No exception leaves it."""
    global running
    result = {"end": "completed"}
    signal.signal(signal.SIGINT, interrupt)
    try:
        running = True
        try:
            execute(code, f"<program {number}>", space, result)
        finally:
            save_figures()
            running = False
    except BaseException as error:
        running = False
        if isinstance(error, SystemExit) and error.code in (None, 0):
            return result
        stopped = isinstance(error, KeyboardInterrupt)
        result["end"] = "interrupted" if stopped else "raised"
        try:
            told = explain(error)
        except BaseException as worse:
            told = f"{type(error).__name__}: its traceback cannot be shown: {type(worse).__name__}"
        result["traceback"] = shorten(told, TRACEBACK_CHARS)
    return result


def open_streams(kept):
    """New ones for each program, which may have closed or replaced those of the last."""
    sys.stdin = io.TextIOWrapper(io.BytesIO(), "utf-8")
    for number, name in ((1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(kept, number)
        raw = io.FileIO(number, "w", closefd=False)
        # Written through, so that what goes to both comes in order.
        stream = io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", write_through=True)
        setattr(sys, name, stream)


def finish(result):
    """What must happen however a program ended."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass
    try:
        result["figures"] = sorted(os.listdir(FIGURES)) if os.path.isdir(FIGURES) else []
    except OSError:
        result["figures"] = []


def use_font_cache():
    """Reading the fonts of a machine takes a second; what the setup found is linked instead."""
    kept = os.environ.get("DOCENT_FONT_CACHE")
    if kept and os.path.isdir(kept):
        place = os.environ["MPLCONFIGDIR"]
        os.makedirs(place, exist_ok=True)
        for name in os.listdir(kept):
            if name.startswith("fontlist"):
                os.symlink(f"{kept}/{name}", f"{place}/{name}")


def main():
    global running
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    kept = os.dup(1)
    sys.path.append(os.path.dirname(HERE))
    sys.path.append(os.getcwd())
    sys.modules["docent_driver"] = sys.modules["__main__"]
    module = types.ModuleType("__main__")
    module.__builtins__ = builtins
    sys.modules["__main__"] = module
    use_font_cache()
    send(channel, {"ready": True})
    number = 0
    while (asked := receive(channel)) is not None:
        number += 1
        try:
            forget_figures()
            open_streams(kept)
        except OSError:
            pass
        try:
            result = run(asked["code"], number, module.__dict__)
        except KeyboardInterrupt:
            # A second signal, while the first was being told.
            running = False
            result = {"end": "interrupted", "traceback": "KeyboardInterrupt\n"}
        finish(result)
        result["nonce"] = asked["nonce"]
        send(channel, result)


signal.signal(signal.SIGINT, interrupt)
main()
