import sys
from pathlib import Path

# The tools run as scripts, which find their modules beside them.
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
