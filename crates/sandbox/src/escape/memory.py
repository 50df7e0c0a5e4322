"""Memory: more than there may be, in every shape it comes in."""


def held(what):
    """What was got stays for a while: a watchdog may look only several times a second."""
    time.sleep(3)
    return what


def heap():
    def deed():
        pieces = []
        while len(pieces) * 8 * MB < 3 * HOST["memory"]:
            pieces.append(b"\xa5" * (8 * MB))
        return held(f"{len(pieces) * 8} MB")

    tell("the heap", deed)


def family():
    """Forty children, each well within what one process may have."""
    each = HOST["memory"] // 4
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    made = []

    def child():
        kept = b"\xa5" * each
        os.write(writer, b"x")
        time.sleep(60)
        os._exit(len(kept) & 1)

    def deed():
        for _ in range(40):
            try:
                number = os.fork()
            except OSError:
                break
            if number == 0:
                child()
            made.append(number)
        time.sleep(4)
        living = 0
        for number in made:
            living += os.waitpid(number, os.WNOHANG) == (0, 0)
        reached = len(os.read(reader, 100))
        total = min(living, reached) * each
        return f"{total // MB} MB in {living}" if total > 1.5 * HOST["memory"] else None

    tell("children", deed)
    for number in made:
        try:
            os.kill(number, 9)
        except OSError:
            pass


def mappings(shared):
    def deed():
        import mmap

        flags = {"flags": mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE}
        size = 3 * HOST["memory"]
        kept = mmap.mmap(-1, size, **flags)
        for at in range(0, size, 4096):
            kept[at] = 1
        return held(f"{size // MB} MB")

    tell("shared" if shared else "private", deed)


def hidden(path=None):
    """A shared mapping keeps what was written to it when its pages are given back: nobody's size
    shows them. The zero device makes the same of a mapping.
    """

    def deed():
        import mmap

        size = 3 * HOST["memory"]
        number = os.open(path, os.O_RDWR) if path else -1
        kept = mmap.mmap(number, size, flags=mmap.MAP_SHARED)
        for start in range(0, size, 8 * MB):
            for at in range(start, start + 8 * MB, 4096):
                kept[at] = 1
            kept.madvise(mmap.MADV_DONTNEED, start, 8 * MB)
        still = all(kept[at] for at in range(0, size, 64 * MB))
        return held(f"{size // MB} MB") if still else None

    tell(path or "a shared mapping", deed)


def sparse_mapping():
    """A page of every two megabytes takes as much again in tables of pages."""

    def deed():
        import mmap

        touched = 0
        kept = []
        while touched * 8192 < 3 * HOST["memory"]:
            piece = mmap.mmap(-1, 1 << 34, flags=mmap.MAP_PRIVATE)
            kept.append(piece)
            for at in range(0, 1 << 34, 2 * MB):
                piece[at] = 1
                touched += 1
        return held(f"{touched} pages and their tables")

    tell("tables of pages", deed)


def anonymous_files():
    def deed():
        number = os.memfd_create("docent")
        piece = b"\xa5" * (8 * MB)
        written = 0
        while written < 3 * HOST["memory"]:
            written += os.write(number, piece)
        return held(f"{written // MB} MB")

    tell("memfd", deed)


def fill_pipes(most, total=0):
    """The kernel's buffers between two ends, as large as they get."""
    import fcntl

    kept = []
    try:
        while total < most:
            reader, writer = os.pipe()
            kept.extend((reader, writer))
            os.set_blocking(writer, False)
            try:
                fcntl.fcntl(writer, 1031, MB)  # F_SETPIPE_SZ
            except OSError:
                pass
            try:
                while True:
                    total += os.write(writer, b"\xa5" * 65536)
            except BlockingIOError:
                pass
    except OSError:
        pass  # There are no more descriptors.
    return total, kept


def fill_sockets(most, total=0):
    """The same of pairs of sockets, in both directions."""
    import socket

    kept = []
    try:
        while total < most:
            ends = socket.socketpair()
            kept.extend(ends)
            for end in ends:
                end.setblocking(False)
                try:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * MB)
                except OSError:
                    pass
                try:
                    while True:
                        total += end.send(b"\xa5" * 65536)
                except BlockingIOError:
                    pass
    except OSError:
        pass
    return total, kept


def in_the_kernel(fill):
    """Buffers that are in no process's size, filled by as many children as there may be. Each
    writes into a pipe how many megabytes it got.
    """
    most = 3 * HOST["memory"]
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    made = []

    def child():
        try:
            total, kept = fill(most // 8)
            os.write(writer, b"x" * (total // MB))
            time.sleep(60)
        finally:
            os._exit(0)

    def deed():
        try:
            for _ in range(24):
                made.append(os.fork())
                if made[-1] == 0:
                    child()
        except BlockingIOError:
            pass
        time.sleep(6)
        try:
            total = len(os.read(reader, 1 << 16))
        except BlockingIOError:
            total = 0
        return held(f"{total} MB") if total * MB > 1.5 * HOST["memory"] else None

    tell("buffers", deed)
    for number in made:
        os.kill(number, 9)


def descriptors_without_end():
    def deed():
        kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(900)]
        for number in kept:
            os.close(number)
        return f"{len(kept)} descriptors"

    tell("descriptors", deed)


def growing_value():
    """A value that is far longer when it is shown."""

    class Large:
        def __repr__(self):
            return "x" * (300 * MB)

    return Large()


def growing_error():
    raise ValueError("x" * (300 * MB))
