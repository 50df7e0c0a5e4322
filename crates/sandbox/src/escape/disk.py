"""Files: more of them, larger ones and stranger ones than there may be."""

import shutil


def cleaned(deed):
    """What a deed left is removed, so that the session can go on."""

    def both(folder):
        place = folder + "/attempt"
        os.makedirs(place, exist_ok=True)
        try:
            return deed(place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    return both


@cleaned
def many(folder):
    total = 0
    while total < 3 * HOST["data"]:
        with open(f"{folder}/{total}", "wb") as file:
            total += file.write(b"\xa5" * (MB // 2))
    return f"{total // MB} MB"


@cleaned
def single(folder):
    total = 0
    with open(folder + "/big", "wb", buffering=0) as file:
        while total < 3 * HOST["data"]:
            total += file.write(b"\xa5" * (MB // 2))
    return f"{total // MB} MB"


@cleaned
def unlinked(folder):
    """Files without a name take room as long as they are open."""
    kept = []
    total = 0
    while total < 3 * HOST["data"]:
        file = open(f"{folder}/{total}", "wb", buffering=0)
        kept.append(file)
        os.unlink(file.name)
        total += file.write(b"\xa5" * (MB // 2))
    return f"{total // MB} MB"


@cleaned
def allocated(folder):
    with open(folder + "/big", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 3 * HOST["data"])
    return "allocated"


@cleaned
def mapped(folder):
    """Written through memory, which cannot fail with an error: the program dies instead."""
    import mmap

    size = 3 * HOST["data"]
    with open(folder + "/big", "w+b") as file:
        os.truncate(file.fileno(), size)
        with mmap.mmap(file.fileno(), size) as memory:
            for at in range(0, size, 4096):
                memory[at] = 1
    return f"{size // MB} MB"


@cleaned
def numbers(folder):
    for number in range(3 * HOST["files"]):
        with open(f"{folder}/{number}", "w"):
            pass
    return f"{3 * HOST['files']} files"


@cleaned
def folders(folder):
    for number in range(3 * HOST["files"]):
        os.mkdir(f"{folder}/{number}")
    return f"{3 * HOST['files']} folders"


@cleaned
def long_links(folder):
    """A link keeps its target in memory that is nobody's file."""
    for number in range(3 * HOST["files"]):
        os.symlink("x" * 4000, f"{folder}/{number}")
    return f"{3 * HOST['files']} links"


@cleaned
def hard_links(folder):
    """Names cost memory even where the file is one."""
    with open(folder + "/one", "w"):
        pass
    for number in range(3 * HOST["files"]):
        os.link(folder + "/one", f"{folder}/{number}")
    return f"{3 * HOST['files']} names"


@cleaned
def attributes(folder):
    """Extended attributes, which are in no file's length."""
    total = 0
    for number in range(HOST["files"] // 2):
        path = f"{folder}/{number}"
        with open(path, "w"):
            pass
        for name in range(3 * HOST["data"] // (HOST["files"] // 2) // 60_000 + 1):
            os.setxattr(path, f"user.{name}", b"\xa5" * 60_000)
            total += 60_000
    return f"{total // MB} MB" if total > 2 * HOST["data"] else None


def fills(deed):
    for folder in ("/mnt/data", "/tmp"):
        tell(folder, lambda: deed(folder))


def fills_elsewhere():
    """Any other place that takes a file, such as /dev/shm."""
    for folder in ("/dev/shm", "/dev", "/run", "/var/tmp", "/var/lock", "/mnt", "/", "/home", "/root"):
        # A link to one of the two folders has their bounds.
        if os.path.realpath(folder) not in ("/tmp", "/mnt/data") and os.access(folder, os.W_OK):
            tell(folder, lambda: many(folder))
        else:
            say("refused", folder)


def deep():
    """As deep as it goes: the host must not fall in."""

    def deed():
        os.chdir("/mnt/data")
        for _ in range(HOST["files"]):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        return f"{HOST['files']} deep"

    tell("folders in folders", deed)
    os.chdir("/mnt/data")


def strange_names():
    """Names that are no text, or that look like a way out."""
    made = 0
    for name in [b"\xff\xfe", b"new\nline", b"\x1b[31mred", b"..\\..", b"%2e%2e%2f", b"a" * 255]:
        for place in (b"/mnt/data/" + name, b"/mnt/data/folder" + name + b"/a"):
            try:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                open(place, "w").close()
                made += 1
            except (OSError, ValueError):
                pass
    os.makedirs("/mnt/data/" + "/".join("123456789"), exist_ok=True)
    open("/mnt/data/" + "/".join("123456789") + "/too deep", "w").close()
    say("refused", "names", f"{made} were made")


def stranger_kinds():
    """What has a name and is no file. The host reads and writes every one of them."""
    os.chdir("/mnt/data")

    def make(what, deed):
        tell(what, lambda: deed() and None)

    os.mkdir("folder")
    make("passwd", lambda: os.symlink("/etc/passwd", "passwd"))
    make("canary", lambda: os.symlink(HOST["canary"], "canary"))
    make("root", lambda: os.symlink("/", "root"))
    make("up", lambda: os.symlink("../../..", "up"))
    make("self", lambda: os.symlink("self", "self"))
    make("loop", lambda: os.symlink("../folder", "folder/loop"))
    make("zero", lambda: os.symlink("/dev/zero", "zero"))
    make("proc", lambda: os.symlink("/proc/self/root", "proc"))
    make("fd", lambda: os.symlink("/proc/self/fd", "fd"))
    make("fifo", lambda: os.mkfifo("fifo"))
    make("hard", lambda: os.link("/etc/passwd", "hard"))
    make("null", lambda: os.mknod("null", 0o020666, os.makedev(1, 3)))
    make("outside", lambda: os.symlink(HOST["folder"], "outside"))
    with open("sparse", "w") as file:
        make("sparse", lambda: os.truncate(file.fileno(), HOST["data"] * 1000))
    with open("closed", "w") as file:
        file.write("x")
    os.chmod("closed", 0)


def racing(target):
    """A name that is a file now and a link to the host's then, and a folder that is one, too."""

    def race():
        os.chdir("/mnt/data")
        os.mkdir("real")
        open("real/canary", "w").close()
        if os.fork():
            return None
        end = time.time() + 8
        while time.time() < end:
            try:
                open("file", "w").close()
                os.symlink(target, "link")
                os.rename("link", "file")
                os.symlink(HOST["folder"], "swap")
                os.rename("real", "kept")
                os.rename("swap", "real")
                os.unlink("real")
                os.rename("kept", "real")
                os.unlink("file")
            except OSError:
                try:
                    os.unlink("link")
                except OSError:
                    pass
        os._exit(0)

    tell("a race", race)


def growing_file():
    """A file that grows while it is read."""

    def grow():
        if os.fork():
            return None
        end = time.time() + 8
        with open("/mnt/data/file", "wb", buffering=0) as file:
            while time.time() < end:
                try:
                    file.write(b"\xa5" * 65536)
                    if file.tell() > HOST["data"] // 2:
                        file.truncate(0)
                        file.seek(0)
                except OSError:
                    file.truncate(0)
        os._exit(0)

    tell("growing", grow)


def closes_the_door():
    """The session's own folder is made unusable."""
    for what, deed in [
        ("chmod", lambda: os.chmod("/mnt/data", 0)),
        ("rename", lambda: os.rename("/mnt/data", "/mnt/other")),
        ("rmdir", lambda: os.rmdir("/mnt/data")),
        ("symlink", lambda: os.symlink("/", "/mnt/data")),
    ]:
        tell(what, lambda: deed() and None)
