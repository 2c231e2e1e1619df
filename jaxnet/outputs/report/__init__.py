"""report.html: what a run learned, how well, and how to repeat it, in one file for a browser.

Drawn from the files of the run directory alone; without network, script or outside fonts.
"""

from jaxnet.outputs.report.page import is_whole, render, write
from jaxnet.outputs.report.reading import Records, read

__all__ = ["Records", "is_whole", "read", "render", "write"]
