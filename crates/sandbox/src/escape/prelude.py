"""What every attempt stands on. It says a verdict on each thing it tries: refused, absent (this
Python has nothing of the kind) or through. Every attempt is bounded: where no wall stops it, it
succeeds without harm.
"""

import errno
import os
import sys
import time

MB = 1 << 20


def say(verdict, what, detail=""):
    words = " ".join(str(detail).encode("ascii", "replace").decode().split())
    print("\n" + "\t".join(["docent", verdict, str(what), words[:200]]), flush=True)


def tell(what, deed):
    """Does a deed. It got through if it gives anything but None."""
    try:
        found = deed()
    except (ImportError, AttributeError, NotImplementedError) as missing:
        say("absent", what, repr(missing))
    # What cannot start a thread is a RuntimeError.
    except (OSError, MemoryError, RuntimeError) as refusal:
        say("refused", what, repr(refusal))
    else:
        say("refused" if found is None else "through", what, "" if found is None else found)


def descriptors():
    """The numbers of all open descriptors."""
    found = []
    for number in range(4096):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found
