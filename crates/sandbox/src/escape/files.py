"""Files of the host: reading them, listing them, writing where nothing may be written."""

import stat
import zlib

SYSTEM_FILES = """
/etc/passwd /etc/shadow /etc/hostname /etc/machine-id /etc/sudoers /root/.bashrc /root/.ssh/id_rsa
/proc/kcore /proc/kmsg /proc/kallsyms /proc/config.gz /var/log/syslog
""".split()

SYSTEM_FOLDERS = ["/root", "/home", "/var/log", "/run", "/sys", HOST["folder"]]

DEVICES = """
/dev/kvm /dev/mem /dev/kmem /dev/port /dev/kmsg /dev/fuse /dev/net/tun /dev/vsock /dev/vhost-vsock
/dev/vhost-net /dev/loop-control /dev/loop0 /dev/vda /dev/sda /dev/nvme0n1 /dev/console /dev/tty
/dev/tty0 /dev/ptmx /dev/userfaultfd /dev/hpet /dev/rtc0 /dev/fb0 /dev/dri/card0 /dev/snd/timer
/dev/input/event0 /dev/cpu/0/msr /dev/watchdog /dev/uinput /dev/mapper/control /dev/btrfs-control
/dev/autofs /dev/cuse /dev/vfio/vfio
""".split()

READ_ONLY = """
/ /usr /usr/bin /usr/lib /usr/local /etc /bin /lib /root /home /var /var/tmp /run /dev /proc /sys
/mnt /opt
""".split() + [HOST["folder"]]

SETTINGS = """
/etc/passwd /etc/hosts /etc/ld.so.cache /etc/ld.so.preload /bin/sh /usr/bin/env
""".split() + [HOST["canary"]]


def reads(*paths):
    """Files whose content is known to the host. Another file of that name is no escape."""

    def read(path):
        with open(path, "rb", buffering=0) as file:
            found = file.read(4096)
        theirs = HOST["contents"].get(path)
        if not found or theirs not in (None, zlib.crc32(found)):
            return None
        return f"{len(found)} bytes"

    for path in paths:
        tell(path, lambda: read(path))


def opens(*paths):
    """Devices and the like: to open them is enough."""

    def open_any(path):
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
            try:
                number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
            except OSError as refusal:
                last = refusal
            else:
                os.close(number)
                return "opened"
        raise last

    for path in paths:
        tell(path, lambda: open_any(path))


def lists(*folders):
    """Folders whose names are known to the host. The way to the interpreter itself is no secret."""
    ways = [sys.prefix, sys.base_prefix, os.path.realpath(sys.executable or "/")]

    def names(folder):
        theirs = set(HOST["folders"].get(folder, []))
        theirs -= {way[len(folder) :].split("/")[1] for way in ways if way.startswith(folder + "/")}
        return sorted(theirs & set(os.listdir(folder)))[:5]

    for folder in folders:
        tell(folder, lambda: names(folder) or None)


def finds_the_canary():
    """The host's file by all roads that lead up and out."""
    path = HOST["canary"]
    up = "../" * 40

    def at(road, folder=None):
        number = os.open(road, os.O_RDONLY, dir_fd=folder)
        try:
            return "read" if HOST["secret"] in os.read(number, 4096).decode() else None
        finally:
            os.close(number)

    roads = ["", "/proc/self/root", "/proc/1/root", "/proc/self/cwd/" + up, "/mnt/data/" + up]
    roads += [f"/proc/{os.getppid()}/root", "/proc/thread-self/root", "/tmp/" + up]
    for road in roads:
        tell(f"{road or 'plain'}", lambda: at(road + path))
    for number in descriptors():
        tell(f"from descriptor {number}", lambda: at(up + path[1:], number))
        tell(f"by /proc/self/fd/{number}", lambda: at(f"/proc/self/fd/{number}/{up}{path[1:]}"))
    tell("its being there", lambda: os.stat(path).st_size)


def follows_links():
    """A link to the host's file, made here and followed here."""

    def follow(name, target):
        os.symlink(target, name)
        with open(name) as file:
            return "read" if HOST["secret"] in file.read() else None

    tell("a symbolic link", lambda: follow("/mnt/data/canary", HOST["canary"]))
    tell("in /tmp", lambda: follow("/tmp/canary", HOST["canary"]))
    tell("to the root", lambda: follow("/tmp/root" + str(os.getpid()), "/proc/1/root" + HOST["canary"]))
    tell("a hard link", lambda: os.link(HOST["canary"], "/mnt/data/hard") or "made")
    tell("of a library", lambda: os.link(os.__file__, "/mnt/data/library") or "made")


def writes_in(*folders):
    def make(folder):
        path = os.path.join(folder, "docent-escape")
        with open(path, "x"):
            pass
        os.unlink(path)
        return "made a file"

    for folder in folders:
        tell(folder, lambda: make(folder))


def writes_python():
    """What this interpreter is made of."""
    import sysconfig

    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("purelib", "platlib", "stdlib", "scripts")}
    folders |= {sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)}
    folders |= {path for path in sys.path if os.path.isdir(path)} - {"/mnt/data", "/tmp"}
    writes_in(*sorted(folders))
    for path in {os.__file__, sys.executable, os.path.realpath(sys.executable or "/")}:
        tell("append to " + path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)) or "opened")
        tell("chmod " + path, lambda: os.chmod(path, os.stat(path).st_mode & 0o7777) or "changed")
        tell("touch " + path, lambda: touch(path))


def touch(path):
    found = os.stat(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return "changed"


def changes(*paths):
    for path in paths:
        tell("append to " + path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)) or "opened")
        tell("chmod " + path, lambda: os.chmod(path, os.stat(path).st_mode & 0o7777) or "changed")
        tell("touch " + path, lambda: touch(path))


def has_no_other_mount_to_write():
    """Every mount but the session's own is read-only, and none has devices or setuid files."""
    own = ("/mnt/data", "/tmp", "/dev/shm")

    def judge():
        found = []
        with open("/proc/self/mountinfo") as mounts:
            for line in mounts:
                place, options = line.split()[4:6]
                options = set(options.split(","))
                within = [place == name or place.startswith(name + "/") for name in own]
                if not any(within) and "ro" not in options and not place.startswith("/proc"):
                    # A device node bound into /dev is written through, and no file is made there.
                    if not (place.startswith("/dev/") and not os.path.isdir(place)):
                        found.append(place + " is writable")
                if "nosuid" not in options:
                    found.append(place + " has setuid files")
        return "; ".join(found) or None

    tell("mounts", judge)


def makes_nodes():
    """Nodes of devices, which would lead to memory and disks."""
    for name, kind, device in [
        ("mem", "S_IFCHR", (1, 1)),
        ("kmsg", "S_IFCHR", (1, 11)),
        ("kvm", "S_IFCHR", (10, 232)),
        ("disk", "S_IFBLK", (254, 0)),
        ("loop", "S_IFBLK", (7, 0)),
    ]:
        for folder in ("/mnt/data", "/tmp"):
            path = f"{folder}/{name}"
            tell(path, lambda: os.mknod(path, getattr(stat, kind) | 0o666, os.makedev(*device)) or "made")


def sees_foreign_processes():
    """Process numbers of the host in /proc."""

    def look(number):
        with open(f"/proc/{number}/cmdline", "rb") as file:
            return "seen" if HOST["victim_word"].encode() in file.read() else None

    tell("the victim's words", lambda: look(HOST["victim"]))

    def search():
        found = []
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                found += [number] if look(number) else []
            except OSError:
                pass
        return found or None

    tell("all of /proc", search)
    for name in ("environ", "maps", "mem", "root", "cwd", "fd"):
        for number in (HOST["pid"], HOST["victim"]):
            path = f"/proc/{number}/{name}"
            # A process of the session's own may have that number.
            own = str(number) in os.listdir("/proc") and number < 100
            if not own:
                tell(path, lambda: os.stat(path) and "seen")


def reads_processes():
    """The memory and environment of the processes above this one."""
    wanted = [value.encode() for name, value in HOST["environment"].items()]

    def environment(path):
        with open(path, "rb") as file:
            content = file.read()
        found = [value for value in wanted if value in content.split(b"\0") or b"=" + value in content]
        return found[:2] or None

    def memory(path):
        for flags in (os.O_RDONLY, os.O_RDWR):
            os.close(os.open(path, flags))
        return "opened"

    for number in (1, os.getppid()):
        tell(f"/proc/{number}/environ", lambda: environment(f"/proc/{number}/environ"))
        if number not in (os.getpid(), 0):
            tell(f"/proc/{number}/mem", lambda: memory(f"/proc/{number}/mem"))


def write(path, text=None):
    """Nothing is made that is not there: a file in the place of a switch would be taken for one."""
    if text is None:
        with open(path) as file:
            text = file.read()
    number = os.open(path, os.O_WRONLY)
    try:
        os.write(number, text.encode())
    finally:
        os.close(number)
    return "written"


def make_group(path):
    os.mkdir(path)
    os.rmdir(path)
    return "made"


def writes_proc():
    """Switches of the kernel. What is written is harmless or was there before."""
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/yama/ptrace_scope",
        "/proc/sys/kernel/unprivileged_bpf_disabled",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/fs/binfmt_misc/status",
    ]:
        tell(path, lambda: write(path))
    tell("/proc/sysrq-trigger", lambda: write("/proc/sysrq-trigger", "h"))
    tell("/proc/self/oom_score_adj", lambda: write("/proc/self/oom_score_adj", "-1000"))
    tell("/proc/self/uid_map", lambda: write("/proc/self/uid_map", "0 0 1"))
    tell("/proc/self/gid_map", lambda: write("/proc/self/gid_map", "0 0 1"))


def leaves_its_group():
    """Groups bound memory and processes for those that are in them."""
    for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"):
        tell(root + " group", lambda: make_group(root + "/docent-escape"))
        tell(root + " release_agent", lambda: write(root + "/release_agent"))
        tell(root + " procs", lambda: write(root + "/cgroup.procs", str(os.getpid())))
