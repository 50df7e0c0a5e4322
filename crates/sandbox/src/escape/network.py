"""Ways to talk to anybody: every family of sockets, the host's own listeners, names, the world."""

FAMILIES = range(46)
KINDS = (1, 2, 3, 4, 5, 10)


def all_families():
    """A socket of any family at all is one too many: vsock leads out of a virtual machine and no
    network namespace covers it.
    """
    import socket

    def any_kind(family):
        last, made = None, []
        for kind in KINDS:
            for protocol in {0, 1, 16, 255 if kind == 3 else 0}:
                try:
                    socket.socket(family, kind, protocol).close()
                except OSError as refusal:
                    last = refusal
                else:
                    made.append((kind, protocol))
        if made:
            return f"kinds {made}"
        raise last

    for family in FAMILIES:
        tell(f"family {family}", lambda: any_kind(family))


def pairs_of_other_families():
    import socket

    for family in FAMILIES:
        if family == 1:
            continue  # pipes in all but name
        for kind in (1, 2, 5):
            tell(f"pair {family} {kind}", lambda: socket.socketpair(family, kind) and "made")


def one_family(number, kind, protocol=0):
    import socket

    tell(f"family {number}", lambda: socket.socket(number, kind, protocol).close() or "made")


def connects(what):
    """To a listener of the host's, which sees who comes."""
    import socket

    def tcp(address, family=None):
        family = socket.AF_INET if family is None else family
        with socket.socket(family, socket.SOCK_STREAM) as line:
            line.settimeout(1)
            line.connect(address)
            line.sendall(b"docent-escape")
            return "connected"

    def unix(address):
        return tcp(address, socket.AF_UNIX)

    def udp(address):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(1)
            line.sendto(b"docent-escape", address)
            # Only the host can tell whether it came.
            return None

    for host in ["127.0.0.1", "localhost", "0.0.0.0", *HOST["addresses"]]:
        if what == "tcp":
            tell(f"{host} {HOST['tcp']}", lambda: tcp((host, HOST["tcp"])))
        if what == "udp":
            tell(f"{host} {HOST['udp']}", lambda: udp((host, HOST["udp"])))
    if what == "tcp6" and HOST["tcp6"]:
        tell(f"::1 {HOST['tcp6']}", lambda: tcp(("::1", HOST["tcp6"]), socket.AF_INET6))
    if what == "unix" and HOST["unix"]:
        tell("by its path", lambda: unix(HOST["unix"]))
    if what == "abstract" and HOST["abstract"]:
        tell("by its name", lambda: unix("\0" + HOST["abstract"]))


def asks_the_server():
    """The API of the host over HTTP."""
    from urllib import request

    url = f"http://127.0.0.1:{HOST['tcp']}/v1/assistants"
    tell(url, lambda: request.urlopen(url, timeout=2).status)


def resolves_names():
    import socket

    for name in ("example.com", "host.docker.internal", "metadata.google.internal"):
        tell(name, lambda: socket.getaddrinfo(name, 80))
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1"

    def ask(server, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(1)
            line.sendto(query, (server, port))
            return line.recv(512)

    tell("8.8.8.8", lambda: ask("8.8.8.8", 53))
    tell("the host", lambda: ask("127.0.0.1", HOST["udp"]))


def leaves_for_the_world():
    """By address, so that no name need be known."""
    import socket

    def connect(family, address):
        with socket.socket(family, socket.SOCK_STREAM) as line:
            line.settimeout(1)
            line.connect(address)
            return "connected"

    for address in [("8.8.8.8", 53), ("1.1.1.1", 443), ("169.254.169.254", 80), ("10.0.0.1", 22)]:
        tell(address[0], lambda: connect(socket.AF_INET, address))
    tell("2606:4700:4700::1111", lambda: connect(socket.AF_INET6, ("2606:4700:4700::1111", 443)))


def listens():
    import socket

    def listen(family, address):
        with socket.socket(family, socket.SOCK_STREAM) as door:
            door.bind(address)
            door.listen()
            return "listens"

    tell("tcp", lambda: listen(socket.AF_INET, ("127.0.0.1", 0)))
    tell("unix", lambda: listen(socket.AF_UNIX, "/tmp/door"))
    tell("abstract", lambda: listen(socket.AF_UNIX, "\0docent-escape"))
