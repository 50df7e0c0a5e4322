"""Pieces of random programs, each between two marks. A piece stands alone and may be run in the
program, in a try, or in a thread.
"""
# %%
os._exit(0)
# %%
os._exit(139)
# %%
os.abort()
# %%
os.kill(os.getpid(), signal.SIGKILL)
# %%
os.kill(os.getpid(), signal.SIGSTOP)
# %%
os.kill(os.getpid(), signal.SIGINT)
# %%
os.kill(os.getpid(), signal.SIGTERM)
# %%
os.kill(os.getppid(), signal.SIGTERM)
# %%
os.kill(0, signal.SIGUSR1)
# %%
signal.signal(signal.SIGINT, signal.SIG_IGN)
# %%
signal.signal(signal.SIGINT, signal.SIG_DFL)
# %%
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
# %%
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
# %%
signal.alarm(1)
# %%
import ctypes
ctypes.string_at(0)
# %%
import ctypes
ctypes.memset(id(None), 255, 64)
# %%
import faulthandler
faulthandler._sigsegv()
# %%
print("x" * 5_000_000)
# %%
for n in range(100_000):
    print(n)
# %%
print("\x00\x1b[2J\x1b]0;title\x07\ufeff\ud83d\ude00".encode("utf-16", "surrogatepass"))
# %%
sys.stdout.buffer.write(bytes(range(256)) * 1000)
# %%
os.write(1, b"\xff\xfe\xf0\x9f" * 10_000)
# %%
os.write(2, b"\r\n\r\n" * 10_000)
# %%
print("\ud800")
# %%
print("no end", end="")
# %%
sys.stdout = None
# %%
sys.stdout = sys.stderr = open(os.devnull, "w")
# %%
sys.stdout.close()
# %%
os.close(1)
# %%
os.close(2)
# %%
os.closerange(3, 100)
# %%
os.closerange(0, 100)
# %%
os.dup2(1, 3); os.dup2(1, 4)
# %%
for number in range(3, 20):
    try:
        os.write(number, b"\0\0\0\5forge")
    except OSError:
        pass
# %%
for number in range(3, 20):
    try:
        os.set_blocking(number, False)
    except OSError:
        pass
# %%
time.sleep(600)
# %%
import threading
for _ in range(5):
    threading.Thread(target=time.sleep, args=(600,)).start()
# %%
import threading
threading.Timer(0.05, os._exit, [3]).start()
# %%
import _thread
_thread.interrupt_main()
# %%
import threading
lock = threading.Lock()
lock.acquire()
lock.acquire()
# %%
while True:
    pass
# %%
while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
# %%
import re
re.match(r"(a+)+$", "a" * 40 + "b")
# %%
9 ** (9 ** 7)
# %%
def deeper():
    return deeper()
deeper()
# %%
sys.setrecursionlimit(10**8)
def deepest(n):
    return deepest([n])
deepest(0)
# %%
nested = []
for _ in range(100_000):
    nested = [nested]
print(nested)
# %%
x = "a" * 200_000_000
# %%
x = [0] * 10**9
# %%
x = []
while True:
    x.append(x[:])
# %%
raise KeyboardInterrupt
# %%
raise SystemExit("over")
# %%
raise GeneratorExit
# %%
raise BaseException("x" * 1_000_000)
# %%
raise MemoryError
# %%
class Broken(Exception):
    def __str__(self):
        raise Broken
raise Broken
# %%
class Unshowable:
    def __repr__(self):
        os._exit(7)
Unshowable()
# %%
class Endless:
    def __repr__(self):
        return repr(self)
Endless()
# %%
class Clinging:
    def __del__(self):
        time.sleep(600)
clinging = Clinging()
del clinging
# %%
import builtins
builtins.print = builtins.repr = builtins.len = None
# %%
import builtins
for name in ("compile", "exec", "open", "isinstance", "BaseException", "KeyboardInterrupt"):
    delattr(builtins, name)
# %%
sys.modules.clear()
# %%
sys.path.clear(); sys.meta_path.clear()
# %%
sys.settrace(lambda *_: os._exit(1))
# %%
sys.setprofile(lambda *_: time.sleep(0.01))
# %%
sys.excepthook = sys.displayhook = lambda *_: os._exit(1)
# %%
sys.set_int_max_str_digits(0)
10 ** 10_000_000
# %%
import gc
gc.disable()
gc.freeze()
# %%
import gc
for thing in gc.get_objects():
    if isinstance(thing, dict) and "__name__" in thing:
        thing["__builtins__"] = {}
# %%
import gc
gc.set_threshold(1)
gc.callbacks.append(lambda *_: os.write(1, b"."))
# %%
import json, struct
json.dumps = struct.pack = os.write = lambda *_, **__: b"forged"
# %%
frame = sys._getframe()
while frame.f_back:
    frame = frame.f_back
    frame.f_globals.clear()
# %%
globals().clear()
# %%
globals()["__name__"] = globals()["__builtins__"] = 5
# %%
import subprocess
subprocess.Popen(["/bin/sleep", "600"])
# %%
import subprocess
subprocess.run("yes | head -c 3000000; exit 3", shell=True)
# %%
import subprocess
subprocess.Popen("while :; do echo x; done", shell=True)
# %%
if os.fork() == 0:
    time.sleep(600)
# %%
if os.fork():
    os._exit(0)
# %%
os.fork()
# %%
for _ in range(100):
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
# %%
import multiprocessing
multiprocessing.get_context("fork").Pool(4).map(abs, range(100))
# %%
os.execv("/bin/true", ["true"])
# %%
os.execv("/bin/sleep", ["sleep", "600"])
# %%
os.setsid()
# %%
os.setpgid(0, 0)
# %%
import atexit
atexit.register(time.sleep, 600)
# %%
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
# %%
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
# %%
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
# %%
import resource
resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
# %%
os.chmod("/mnt/data", 0)
# %%
os.mkfifo("/mnt/data/fifo")
open("/mnt/data/fifo")
# %%
open("/mnt/data/big", "wb").write(bytes(100_000_000))
# %%
for n in range(10_000):
    open(f"/mnt/data/{n}", "w").close()
# %%
import shutil
shutil.rmtree("/mnt/data", ignore_errors=True)
shutil.rmtree("/tmp", ignore_errors=True)
# %%
os.umask(0o777)
# %%
import tempfile
os.chdir(tempfile.mkdtemp())
os.rmdir(os.getcwd())
# %%
os.environ.clear()
# %%
import asyncio
asyncio.run(asyncio.sleep(600))
# %%
import asyncio
asyncio.get_event_loop().run_forever()
# %%
import socket
a, b = socket.socketpair()
a.recv(1)
# %%
import sqlite3
sqlite3.connect("/mnt/data/db").execute("with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n")
# %%
input()
# %%
breakpoint()
# %%
exec("x = " * 100_000 + "1")
# %%
eval("(" * 500 + ")" * 500)
# %%
compile("-" * 200_000 + "1", "<string>", "eval")
# %%
import warnings
warnings.simplefilter("error")
warnings.warn("x")
# %%
import code
code.interact()
# %%
help()
# %%
lambda: (yield)
# %%
type("T", (), {"__getattribute__": lambda *_: os._exit(4)})()
# %%
type("T", (str,), {"__len__": lambda _: -1, "__str__": lambda _: 5})("x")
# %%
bytes(type("T", (bytes,), {"__repr__": lambda _: "\x00" * 1_000_000})(b"x"))
