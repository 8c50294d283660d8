"""From code trees to Python source: the tree and its only printer. Knows no op and no framework."""
