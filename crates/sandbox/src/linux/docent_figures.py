"""A backend of matplotlib that shows a figure by keeping it for the user."""

import io
import sys

from matplotlib import _pylab_helpers
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

FigureCanvas = FigureCanvasAgg
FigureManager = FigureManagerBase


def show(*_args, **_kwargs):
    """Keeps the open figures in the order they were made, and closes them."""
    driver = sys.modules["docent_driver"]
    pyplot = sys.modules["matplotlib.pyplot"]
    for manager in sorted(_pylab_helpers.Gcf.get_all_fig_managers(), key=lambda it: it.num):
        figure = manager.canvas.figure
        if figure.axes or figure.texts or figure.images:
            image = io.BytesIO()
            figure.savefig(image, format="png", bbox_inches="tight")
            driver.save_image(image.getvalue())
        pyplot.close(manager.num)
