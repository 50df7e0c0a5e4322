"""System calls by their numbers, past everything that Python or the C library would say."""

import platform

# That there is no such process is what a namespace says.
REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ESRCH)
MAKES_A_CHILD = ("clone", "clone3")


def words(*arguments):
    import ctypes

    def word(argument):
        return ctypes.c_long(argument) if isinstance(argument, int) else argument

    return [word(argument) for argument in arguments]


def zeros(length):
    import ctypes

    return ctypes.create_string_buffer(length)


def numbers(*values):
    """A structure of 64-bit numbers."""
    import ctypes

    return (ctypes.c_uint64 * len(values))(*values)


def sleeping_child():
    number = os.fork()
    if number == 0:
        time.sleep(60)
        os._exit(0)
    return number


def call(name, x86_64, aarch64, arguments):
    """A call got through if the kernel looked at what it was given: another error than a refusal
    says so, too.
    """

    def deed():
        import ctypes

        number = {"x86_64": x86_64, "aarch64": aarch64}.get(platform.machine())
        if number is None:
            raise NotImplementedError(f"no such call on {platform.machine()}")
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall.restype = ctypes.c_long
        result = libc.syscall(ctypes.c_long(number), *words(*arguments()))
        if result == 0 and name in MAKES_A_CHILD:
            os._exit(0)
        if result >= 0:
            return f"gave {result}"
        code = ctypes.get_errno()
        if code in REFUSALS:
            raise OSError(code, errno.errorcode[code])
        return "the kernel said " + errno.errorcode.get(code, str(code))

    tell(name, deed)


def types_into_the_terminal():
    import fcntl
    import termios

    for number in descriptors():
        for name in ("TIOCSTI", "TIOCSCTTY", "TIOCCONS"):
            code = getattr(termios, name, None)
            if code is not None:
                tell(f"{name} {number}", lambda: fcntl.ioctl(number, code, b"x") and "done")
    # TIOCLINUX pastes the selection of a console; FIONREAD, beside them, is harmless.
    tell("TIOCLINUX", lambda: fcntl.ioctl(1, 0x541C, b"\2") and "done")


def old_calls():
    """The gate of 32-bit programs, whose calls have other numbers."""
    import ctypes
    import mmap

    if platform.machine() != "x86_64":
        raise NotImplementedError("only x86-64 has it")
    # mov eax, 102 (socketcall); mov ebx, 1; xor ecx, ecx; int 0x80; ret, with rbx kept.
    code = b"\x53\xb8\x66\0\0\0\xbb\1\0\0\0\x31\xc9\xcd\x80\x5b\xc3"
    try:
        access = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=access)
    except OSError as refusal:
        return say("refused", "a page to run", refusal)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    # EFAULT, for the arguments that lie nowhere, is an answer of the call itself.
    refused = -result in REFUSALS
    say("refused" if refused else "through", "int 0x80", result)


def shared_memory_by_key():
    """A segment, a semaphore and a queue that the host would see by their key."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    key = HOST["ipc_key"]

    def made(name, *arguments):
        if getattr(libc, name)(*arguments) < 0:
            code = ctypes.get_errno()
            raise OSError(code, errno.errorcode[code])
        # Only the host can tell whether it sees it.
        return None

    tell("shmget", lambda: made("shmget", key, 4096, 0o1666))
    tell("semget", lambda: made("semget", key, 1, 0o1666))
    tell("msgget", lambda: made("msgget", key, 0o1666))
    time.sleep(1)


def shared_memory_by_name():
    def make(folder):
        with open(f"{folder}/docent-escape-{HOST['ipc_key']}", "w"):
            time.sleep(1)

    for folder in ("/dev/shm", "/dev/mqueue", "/run"):
        tell(folder, lambda: make(folder))
