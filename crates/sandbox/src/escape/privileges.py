"""Becoming more than one is."""

import stat
import subprocess


def status():
    with open("/proc/self/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def capabilities():
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        tell(name, lambda: status()[name] if int(status()[name], 16) else None)


def no_new_privileges():
    tell("no new privileges", lambda: None if status().get("NoNewPrivs") == "1" else "not set")
    tell("a filter", lambda: None if status().get("Seccomp") == "2" else "not set")


def is_nobody():
    """Neither root here nor root outside, which the map of user numbers tells."""

    def outside():
        with open("/proc/self/uid_map") as file:
            rows = [[int(word) for word in line.split()] for line in file]
        here = os.getuid()
        for first, above, count in rows:
            if first <= here < first + count:
                return "root outside" if above + here - first == 0 else None
        return None

    tell("user", lambda: "root" if 0 in (os.getuid(), os.geteuid()) else None)
    tell("group", lambda: "root" if 0 in (os.getgid(), os.getegid()) else None)
    tell("groups", lambda: os.getgroups() if 0 in os.getgroups() else None)
    tell("outside", outside)


def setuid_programs():
    """Programs that would be root's wherever they are called."""
    import shutil

    def run(arguments):
        answer = subprocess.run(arguments, capture_output=True, timeout=3, stdin=subprocess.DEVNULL)
        if b"uid=0" in answer.stdout:
            return "root"
        return "it was done" if arguments[0].endswith(("mount", "ping")) and not answer.returncode else None

    for arguments in [
        ["mount", "-t", "tmpfs", "none", "/tmp"],
        ["ping", "-c", "1", "-W", "1", "127.0.0.1"],
        ["su", "-c", "id"],
        ["sudo", "-n", "id"],
        ["pkexec", "id"],
        ["doas", "id"],
        ["newgrp", "root", "-c", "id"],
        ["sg", "root", "-c", "id"],
        ["unshare", "-Ur", "id"],
    ]:
        path = shutil.which(arguments[0], path="/usr/bin:/bin:/usr/sbin:/sbin")
        if path is None:
            say("absent", arguments[0])
        else:
            tell(arguments[0], lambda: run([path, *arguments[1:]]))


def own_setuid_program():
    """A copy of a shell with its bits set."""

    def deed():
        import shutil

        for folder in ("/mnt/data", "/tmp"):
            shutil.copy("/bin/sh", folder + "/mine")
            os.chmod(folder + "/mine", 0o6755)
            answer = subprocess.run([folder + "/mine", "-p", "-c", "id"], capture_output=True, timeout=3)
            if b"euid=0" in answer.stdout or b"uid=0" in answer.stdout:
                return "root"

    tell("a copy", deed)


def raises_limits():
    import resource

    def raise_one(name):
        code = getattr(resource, name)
        soft, hard = resource.getrlimit(code)
        if hard == resource.RLIM_INFINITY:
            return "it is unlimited"
        resource.setrlimit(code, (soft, hard + 1))
        return "it was raised"

    for name in ("AS", "NPROC", "FSIZE", "NOFILE", "CORE", "MEMLOCK"):
        # A limit that cannot be raised is a ValueError here.
        def deed():
            try:
                return raise_one("RLIMIT_" + name)
            except ValueError as refusal:
                raise OSError(errno.EPERM, str(refusal)) from None

        tell(name, deed)


def priorities():
    tell("nice", lambda: os.nice(-10))
    tell("setpriority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20) or "set")
    tell("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) or "set")
    tell("round robin", lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)) or "set")


def dumps_core():
    import signal

    def deed():
        os.chdir("/mnt/data")
        child = os.fork()
        if child == 0:
            import resource

            try:
                resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))
            except (OSError, ValueError):
                pass
            os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(5)
            os._exit(0)
        _, how = os.waitpid(child, 0)
        cores = [name for name in os.listdir(".") if name.startswith("core")]
        return "a core was dumped" if os.WCOREDUMP(how) or cores else None

    tell("a core", deed)
