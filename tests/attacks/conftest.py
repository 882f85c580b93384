"""The scripts of this folder import `hostile` as their neighbour, under pytest too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
