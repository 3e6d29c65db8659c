"""Arrow's compute kernels as the package uses them."""

from __future__ import annotations

from typing import Any

import pyarrow.compute

pc: Any = pyarrow.compute
"""The kernels; they take more than the stubs say."""
