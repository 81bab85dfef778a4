"""What the promises are tested with: the real API server in process."""

from tests.apiserver.conftest import asking

__all__ = ["asking"]
