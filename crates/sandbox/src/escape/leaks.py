"""What was left lying about: the environment, descriptors, names."""


def environment():
    def shared(found):
        theirs = HOST["environment"]
        return [name for name, value in found.items() if theirs.get(name) == value] or None

    def raw():
        with open("/proc/self/environ", "rb") as file:
            rows = [row.split("=", 1) for row in file.read().decode("latin-1").split("\0") if "=" in row]
        return shared(dict(rows))

    if not HOST["environment"]:
        say("absent", "the host's environment is empty")
    tell("os.environ", lambda: shared(dict(os.environ)))
    tell("/proc/self/environ", raw)


def inherited():
    """Descriptors: the host's canary, and anything that is not of the session's own."""

    def judge(number):
        found = os.fstat(number)
        if [found.st_dev, found.st_ino] == HOST["open_file"]:
            return "the host's file"
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            target = ""
        kinds = ("pipe:", "socket:", "anon_inode:", "/dev/null", "/memfd:", "/mnt/data", "/tmp", "")
        # A regular file of the interpreter's own is open for reading only, if at all.
        return None if target.startswith(kinds) and target != "/" else target

    for number in descriptors():
        tell(f"descriptor {number}", lambda: judge(number))


def names():
    tell("host name", lambda: os.uname().nodename if os.uname().nodename == HOST["hostname"] else None)
    tell("working folder", lambda: os.getcwd() if os.getcwd() == HOST["folder"] else None)


def keyrings():
    """Keys are nobody's namespace but the user's."""

    def keys():
        with open("/proc/keys") as file:
            return f"{len(file.readlines())} keys"

    tell("/proc/keys", keys)
