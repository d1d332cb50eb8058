"""Numbers with their nouns, in texts that are not translated."""


def counted(number: int, noun: str) -> str:
    """Return a number with the right form of `noun`, such as '1 job' or '2,000 jobs'."""
    return f"{number:,} {agreeing(number, noun, f'{noun}s')}"


def agreeing(number: int, one: str, many: str) -> str:
    """Return the text for one thing, or that for many."""
    return one if number == 1 else many
