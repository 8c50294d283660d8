"""What is still to be written is not compiled."""

from specbuild.backends.torch.framework import backend
from specbuild.ops.unfinished import Unfinished

backend.refuses(Unfinished, "it is still to be written: put the missing steps in its place")
