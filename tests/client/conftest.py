from tests.client.ground import _ground

__all__ = ["_ground"]
