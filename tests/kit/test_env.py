"""What an Env makes from chance."""

import random
import uuid

from trireme.kit.env import Env


def test_uids_are_random_uuids_of_version_4() -> None:
    env, bits = Env(rng=random.Random(7)), random.Random(7)
    for _ in range(1000):
        made = env.uid()
        assert made == str(uuid.UUID(int=bits.getrandbits(128), version=4))
