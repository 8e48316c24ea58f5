"""A rule, and how `mutation_test.py` breaks it."""

import typing

UNIT = ["unit-tests", "--source-file=*unit/context*", "--abort-after=1"]
ACTOR = ["actor-tests", "--source-file=*actor/context*", "--abort-after=1"]
RECOVERY = ["integration-tests", "--source-file=*host_recovery*", "--abort-after=1"]
SIMULATION = ["simulation-tests", "--test-case=replicas hold*"]


class Mutation(typing.NamedTuple):
    """A rule, and the change of a file that breaks it."""
    rule: str
    file: str
    sound: str
    broken: str
    found_by: typing.List[str] = SIMULATION


STATE = "actors/context/state/"
CONTEXT = "actors/context/"
