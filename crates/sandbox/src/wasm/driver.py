"""Runs programs one after the other in one set of variables and reports how each ended.

It is run once, as the session's first turn; `docent_driver.turn()` then runs each program.
`_host.call` hands bytes to the host and gives back its answer: `P` asks for the program, `I` hands
over a figure, `R` the report that ends a turn.
"""


def start():
    import ast
    import io
    import json
    import linecache
    import os
    import signal
    import sys
    import traceback
    import types
    from _sitebuiltins import Quitter

    from _host import call

    value_chars = 64 << 10
    traceback_chars = 32 << 10
    here = start.__code__.co_filename
    main = types.ModuleType("__main__")
    main.__builtins__ = __builtins__
    outer = sys.modules["__main__"]
    turns = 0
    running = False
    # Given back before a report, which has to be written even when memory is full.
    cushion = None

    def interrupt(_number, _frame):
        """A signal that comes between programs is for one that is over."""
        if running:
            raise KeyboardInterrupt

    def shorten(text, most):
        """The beginning and the end of what is too long, in characters that can be written."""
        text = text.encode("utf-8", "backslashreplace").decode()
        if len(text) <= most:
            return text
        half = most // 2
        return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"

    def explain(error):
        """The traceback as Python prints it, without the frames of this file."""
        told = traceback.TracebackException(
            type(error), error, error.__traceback__, compact=True
        )
        waiting, seen = [told], set()
        while waiting:
            one = waiting.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            one.stack[:] = [frame for frame in one.stack if frame.filename != here]
            waiting += [one.__cause__, one.__context__, *(one.exceptions or ())]
        return "".join(told.format())

    def parse(code, name):
        """The program's two parts: what is run, and the expression whose value is shown."""
        tree = ast.parse(code, name)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        shown = last and compile(last, name, "eval")
        return compile(tree, name, "exec"), shown

    def execute(code, name):
        """The value of the program's last expression, as text."""
        body, last = parse(code, name)
        exec(body, main.__dict__)
        value = eval(last, main.__dict__) if last else None
        if value is None:
            return None
        main._ = value
        picture = getattr(type(value), "_repr_png_", None)
        if picture and (image := picture(value)):
            save_image(image)
        return shorten(repr(value), value_chars)

    def save_image(png):
        call(b"I" + png)

    def save_figures():
        """Shows the figures that are open, and closes them."""
        backend = sys.modules.get("docent_figures")
        if backend and "matplotlib.pyplot" in sys.modules:
            backend.show()

    def run(code, name):
        """Runs one program; gives what the host is told."""
        nonlocal running, cushion
        value = None
        signal.signal(signal.SIGINT, interrupt)
        try:
            running = True
            try:
                value = execute(code, name)
            finally:
                save_figures()
                running = False
        except BaseException as error:
            running = False
            cushion = None
            if isinstance(error, SystemExit) and error.code in (None, 0):
                return {"end": "completed", "traceback": "", "value": None}
            try:
                told = explain(error)
            except BaseException as worse:
                told = f"{type(error).__name__}: its traceback cannot be shown: {type(worse)}"
            end = "interrupted" if isinstance(error, KeyboardInterrupt) else "raised"
            return {"end": end, "traceback": shorten(told, traceback_chars), "value": None}
        return {"end": "completed", "traceback": "", "value": value}

    def open_streams():
        """New ones for each program, which may have closed those of the last."""

        def stream(number):
            raw = io.FileIO(number, "w", closefd=False)
            # Written through, so that what goes to both comes in order.
            return io.TextIOWrapper(raw, "utf-8", errors="backslashreplace", write_through=True)

        sys.stdin = io.TextIOWrapper(io.BytesIO(), "utf-8")
        sys.stdout = stream(1)
        sys.stderr = stream(2)

    def flush():
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                pass

    def report(it):
        call(b"R" + json.dumps(it).encode())

    def turn():
        nonlocal turns, cushion
        turns += 1
        try:
            cushion = bytearray(8 << 20)
        except MemoryError:
            pass
        code = call(b"P").decode()
        name = f"<program {turns}>"
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        sys.modules["__main__"] = main
        open_streams()
        ended = run(code, name)
        flush()
        # A turn begins in the main module, and must not do so among the program's variables.
        sys.modules["__main__"] = outer
        report(ended)

    def chmod(path, mode, *, dir_fd=None, follow_symlinks=True):
        """Files have no modes here. The C library's own says nothing of files that are not there
        or may not be changed; setting a file's times to what they are does."""
        found = os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    os.chmod = sys.modules["posix"].chmod = chmod
    os.chdir("/mnt/data")
    sys.path += ["/usr/share/docent", "/mnt/data"]
    for name in ("exit", "quit"):
        setattr(__import__("builtins"), name, Quitter(name, "Ctrl-D (i.e. EOF)"))
    driver = types.ModuleType("docent_driver")
    driver.turn = turn
    driver.save_image = save_image
    sys.modules["docent_driver"] = driver
    report({"end": "completed", "traceback": "", "value": sys.version})


start()
del start
