"""Programs that do not end, or not when they are asked to."""

import signal


def loop():
    while True:
        pass


def printing():
    while True:
        os.write(1, b"x" * 65536)


def sleep():
    time.sleep(10_000)


def regular_expression():
    """A loop in C that looks at signals now and then."""
    import re

    re.match(r"(a+)+$", "a" * 60 + "b")


def large_number():
    """A loop in C that never looks at signals."""
    return len(str(9 ** (9**8)))


def sum_in_c():
    return sum(range(10**14))


def deaf():
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    loop()


def blocked():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    loop()


def swallowing():
    while True:
        try:
            loop()
        except BaseException:
            pass


def stopped():
    """A process that is stopped hears nothing but SIGKILL and SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)
    loop()


def stopped_in_vain():
    """A child that lets its parent go on and stops it again."""
    parent = os.getpid()
    if os.fork() == 0:
        end = time.time() + 30
        while time.time() < end:
            os.kill(parent, signal.SIGSTOP)
        os._exit(0)
    loop()


def waiting_for_a_thread():
    import threading

    thread = threading.Thread(target=time.sleep, args=(10_000,))
    thread.start()
    thread.join()


def waiting_for_a_lock():
    import threading

    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def waiting_for_a_child():
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
    os.waitpid(child, 0)


def reading_a_fifo():
    os.mkfifo("/tmp/fifo")
    open("/tmp/fifo").read()


def reading_a_pipe():
    reader, _writer = os.pipe()
    os.read(reader, 1)


class EndlessValue:
    """A value that is never done being shown."""

    def __repr__(self):
        loop()


class EndlessError(Exception):
    def __str__(self):
        loop()


def endless_error():
    raise EndlessError


class EndlessEnd:
    def __del__(self):
        loop()


def endless_end():
    EndlessEnd()


def endless_exit():
    import atexit

    atexit.register(loop)
    os.kill(os.getpid(), signal.SIGTERM)


def endless_trace():
    def trace(*_):
        loop()

    sys.settrace(trace)
    (lambda: None)()


def endless_import():
    import importlib.abc

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, *_):
            loop()

    sys.meta_path.insert(0, Finder())
    import this_is_nowhere


def endless_interruption():
    """What is raised is caught by an endless handler."""
    signal.signal(signal.SIGINT, lambda *_: loop())
    loop()


def endless_figure():
    """The figures are saved when the program is over."""
    import matplotlib.figure
    import matplotlib.pyplot

    matplotlib.figure.Figure.savefig = lambda *_, **__: loop()
    matplotlib.pyplot.plot([1, 2])
