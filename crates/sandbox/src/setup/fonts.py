"""Finds the machine's fonts once, and says in which of them Chinese, Japanese and Korean are."""

import os
import sys

TARGET = sys.argv[1]
os.environ["MPLCONFIGDIR"] = TARGET

from matplotlib import font_manager

# The sans-serif ones first; a name that a machine lacks would be warned of at every plot.
WANTED = """
Noto Sans CJK SC; Noto Sans SC; Source Han Sans SC; WenQuanYi Micro Hei; WenQuanYi Zen Hei;
Noto Sans CJK JP; Noto Sans JP; Source Han Sans JP; IPAGothic; TakaoGothic; VL Gothic;
Noto Sans CJK KR; Noto Sans KR; NanumGothic; UnDotum; Noto Sans CJK TC; Noto Sans CJK HK;
AR PL UMing CN; AR PL UKai CN; Droid Sans Fallback; Unifont
"""
there = {font.name for font in font_manager.fontManager.ttflist}
found = [name for name in (it.strip() for it in WANTED.split(";")) if name in there]
with open(os.path.join(TARGET, "matplotlibrc"), "w", encoding="utf-8") as file:
    file.write(f"font.family: {', '.join(['DejaVu Sans', *found])}\n")
print(", ".join(found))
