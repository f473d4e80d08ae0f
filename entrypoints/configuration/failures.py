"""What is wrong with files, arguments or answers, in a sentence for who sits at the machine."""


class Failed(Exception):
    """Nothing, or nothing more, is done."""


class Refused(Failed):
    """All that is wrong with the files, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults
