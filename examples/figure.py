"""The moment in which picture and sound agree most, as the paper's Fig. 5.

python examples/figure.py dog.mp4 dog.png
"""

import sys

from cmac_hub import load_cmac

source, target = sys.argv[1:]
visualizer = load_cmac().visualizer
time, _ = max(visualizer.heatmaps(source), key=lambda moment: moment[1].max())
visualizer.figure(source, time=time).savefig(target, dpi=150)
print(f"{target}: the window around {time:.2f} s")
