"""Processes: more than there may be, ones that outlive the session, and ones that are not ours."""

import signal
import subprocess


def hold(count, deed=lambda: None):
    """That many children, each of which does a deed and waits. It says how many there were."""
    made = []
    try:
        while len(made) < count:
            number = os.fork()
            if number == 0:
                try:
                    deed()
                    time.sleep(60)
                finally:
                    os._exit(0)
            made.append(number)
    finally:
        for number in made:
            os.kill(number, signal.SIGKILL)
        for number in made:
            os.waitpid(number, 0)
    return f"{len(made)} children"


def fork_bomb():
    tell("children", lambda: hold(4 * HOST["processes"]))


def recursive_bomb():
    """Children that have children, each known by its byte in a pipe."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    def spawn(depth):
        for _ in range(2 if depth else 0):
            try:
                child = os.fork()
            except OSError:
                return
            if child == 0:
                os.write(writer, b"x")
                spawn(depth - 1)
                time.sleep(3)
                os._exit(0)

    def deed():
        depth = (8 * HOST["processes"]).bit_length() - 1
        spawn(depth)
        time.sleep(2)
        count = len(os.read(reader, 1 << 16))
        return f"{count} at once" if count > 2 * HOST["processes"] else None

    tell("children's children", deed)


def shell_bomb():
    script = """
    b() { echo x >> /tmp/bomb; if [ $1 -gt 0 ]; then b $(($1-1)) & b $(($1-1)) & fi; sleep 3; }
    b %d
    """ % ((8 * HOST["processes"]).bit_length() - 1)

    def deed():
        shell = subprocess.Popen(["/bin/sh", "-c", script], stderr=subprocess.DEVNULL)
        time.sleep(2)
        with open("/tmp/bomb") as file:
            count = len(file.read().split())
        shell.kill()
        return f"{count} at once" if count > 2 * HOST["processes"] else None

    tell("a shell's functions", deed)


def threads():
    import threading

    def deed():
        stop = threading.Event()
        started = []
        try:
            while len(started) < 4 * HOST["processes"]:
                thread = threading.Thread(target=stop.wait, daemon=True)
                thread.start()
                started.append(thread)
        finally:
            stop.set()
        return f"{len(started)} threads"

    tell("threads", deed)


def daemons():
    """Grandchildren that have left everything behind: their session, their streams, their father.
    The host sees whether they outlive it.
    """

    def leave():
        if os.fork():
            return None
        os.setsid()
        for name in ("SIGHUP", "SIGINT", "SIGTERM", "SIGPIPE"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        if os.fork() == 0:
            os.closerange(0, 4096)
            for _ in range(3000):
                time.sleep(0.1)
        os._exit(0)

    for number in range(3):
        tell(f"daemon {number}", leave)
    time.sleep(1.5)


def busy_children():
    """Children that work on when the program is over."""

    def start():
        if os.fork() == 0:
            end = time.time() + 60
            while time.time() < end:
                pass
            os._exit(0)

    for number in range(2):
        tell(f"child {number}", start)


def talking_children():
    """Children that print for ever when the program is over."""

    def start():
        if os.fork() == 0:
            line = b"x" * 1000 + b"\n"
            end = time.time() + 60
            while time.time() < end:
                try:
                    os.write(1, line)
                except OSError:
                    pass
            os._exit(0)

    for number in range(2):
        tell(f"child {number}", start)


def signals_the_victim():
    """A process of the host's, which the host sees die or stop."""
    for name in ("SIGCONT", "SIGSTOP", "SIGTERM", "SIGKILL"):
        tell(name, lambda: os.kill(HOST["victim"], getattr(signal, name)) or "sent")


def signals_the_host():
    """Signal 0 only: with no wall it would end the judge."""
    tell("the host", lambda: os.kill(HOST["pid"], 0) or "may be sent")
    tell("its group", lambda: os.killpg(HOST["group"], 0) or "may be sent")


def signals_the_first():
    """The session's own first process, which may be sent them and must not heed them: the host
    sees whether the session goes on. Neither does the real one of a machine.
    """
    for number in {1, os.getppid()}:
        for name in ("SIGSTOP", "SIGKILL"):
            tell(f"{number} {name}", lambda: os.kill(number, getattr(signal, name)))


def signals_everybody():
    """First the question whether anybody would hear, then, if nobody does, in earnest."""

    def everybody(code):
        try:
            os.kill(-1, code)
        except ProcessLookupError:
            return None
        return "somebody heard"

    def deed():
        found = everybody(0)
        for name in ("SIGSTOP", "SIGKILL"):
            found = found or everybody(getattr(signal, name))
        return found

    tell("-1", deed)


def limits_others():
    import resource

    number = HOST["victim"]
    tell("prlimit", lambda: resource.prlimit(number, resource.RLIMIT_NOFILE) and "read")
    tell("setpriority", lambda: os.setpriority(os.PRIO_PROCESS, number, 10) or "set")
    tell("affinity", lambda: os.sched_setaffinity(number, {0}) or "set")
    tell("sched_getscheduler", lambda: os.sched_getscheduler(number))
