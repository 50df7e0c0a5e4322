"""Runs programs one after the other in one set of variables and reports how each ended.

It is run once, as the session's first turn; `_docent.turn()` then runs each program. `_host.call`
hands bytes to the host and gives back its answer: `P` asks for the program, `I` hands over a
figure, `R` the report that ends a turn.
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
    import warnings

    from _host import call

    most = 65_536
    here = start.__code__.co_filename
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    turns = 0
    # Given back before a report, which has to be written even when memory is full.
    cushion = None

    def text(it):
        it = it if len(it) <= most else it[:most] + "…"
        return it.encode("utf-8", "backslashreplace").decode("utf-8")

    def streams():
        def stream(number, errors):
            raw = io.FileIO(number, "w", closefd=False)
            return io.TextIOWrapper(raw, "utf-8", errors=errors, write_through=True)

        sys.stdin = io.TextIOWrapper(io.BytesIO(), "utf-8")
        sys.stdout = stream(1, "backslashreplace")
        sys.stderr = stream(2, "backslashreplace")

    def flush():
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass

    def execute(source, name):
        tree = ast.parse(source, name)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        exec(compile(tree, name, "exec"), main.__dict__)
        if last is None:
            return None
        value = eval(compile(last, name, "eval"), main.__dict__)
        return None if value is None else text(repr(value))

    def figures(keep):
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        try:
            for number in pyplot.get_fignums() if keep else ():
                image = io.BytesIO()
                pyplot.figure(number).savefig(image, format="png", bbox_inches="tight")
                call(b"I" + image.getvalue())
        finally:
            pyplot.close("all")

    def without_driver(shown):
        """Takes our own frames out of a traceback and those of its causes."""
        for part in (shown, shown.__cause__, shown.__context__, *(shown.exceptions or ())):
            if part is not None:
                part.stack[:] = [frame for frame in part.stack if frame.filename != here]
            if part not in (None, shown):
                without_driver(part)

    def shown(error):
        # A failed collection of what led to the error is no reason to fail with it.
        try:
            shown = traceback.TracebackException.from_exception(error)
            without_driver(shown)
            return text("".join(shown.format()))
        except Exception:
            return text("".join(traceback.format_exception_only(error)))

    def program(source, name):
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                value = execute(source, name)
                flush()
            except KeyboardInterrupt:
                figures(keep=False)
                raise
            except BaseException:
                flush()
                figures(keep=True)
                raise
            figures(keep=True)
            return value
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ended(source, name):
        """How a program ended: end, traceback, value."""
        nonlocal cushion
        try:
            return "completed", "", program(source, name)
        except KeyboardInterrupt as error:
            cushion = None
            return "interrupted", shown(error), None
        except SystemExit as error:
            cushion = None
            if error.code in (None, 0):
                return "completed", "", None
            return "raised", shown(error), None
        except BaseException as error:
            cushion = None
            return "raised", shown(error), None

    def turn():
        nonlocal turns, cushion
        turns += 1
        try:
            cushion = bytearray(8 << 20)
        except MemoryError:
            pass
        source = call(b"P").decode("utf-8")
        name = f"<program {turns}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        sys.modules["__main__"] = main
        streams()
        end, trace, value = ended(source, name)
        flush()
        report = {"end": end, "traceback": trace, "value": value}
        call(b"R" + json.dumps(report).encode())

    os.chdir("/mnt/data")
    # matplotlib says so of each `show()`; its figures are shown all the same.
    warnings.filterwarnings("ignore", message=".*non-interactive.*")
    driver = types.ModuleType("_docent")
    driver.turn = turn
    sys.modules["_docent"] = driver
    call(b"R" + json.dumps({"end": "completed", "traceback": "", "value": sys.version}).encode())


start()
del start
