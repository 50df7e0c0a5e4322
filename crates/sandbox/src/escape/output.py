"""Output without end, and results that are too large to be results."""


def hundred_megabytes():
    line = "x" * 999
    for _ in range(100_000):
        print(line)


def one_line():
    print("x" * (100 * MB))


def both_streams():
    for _ in range(200_000):
        os.write(1, b"out" * 100)
        os.write(2, b"err" * 100)


def for_ever():
    while True:
        os.write(1, b"x" * 65536)


def bytes_that_are_no_text():
    for _ in range(500):
        os.write(1, bytes(range(256)) * 100)


def halves():
    """Halves of characters, for ever."""
    for _ in range(100_000):
        os.write(1, b"\xf0\x9f")


def nothing_at_all():
    for _ in range(1_000_000):
        print("", end="", flush=True)


def many_figures():
    import matplotlib.pyplot as plt

    for _ in range(300):
        plt.figure(figsize=(1, 1))


def one_large_figure():
    import matplotlib.pyplot as plt

    plt.figure(figsize=(300, 300), dpi=200)
    plt.plot([1, 2])


def figures_that_lie():
    import matplotlib.figure
    import matplotlib.pyplot as plt

    def save(self, target, *_, **__):
        data = b"\x89PNG\r\n\x1a\n" + b"\0" * (200 * MB)
        if hasattr(target, "write"):
            target.write(data)
        else:
            with open(target, "wb") as file:
                file.write(data)

    matplotlib.figure.Figure.savefig = save
    for _ in range(5):
        plt.figure()
