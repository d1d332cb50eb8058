"""Promises about the arguments of a task, which make a journey through JSON."""

from typing import Any

from django_future.conformance.helpers import Helpers
from django_future.conformance.values import (
    EXTREME_FLOATS,
    FLOATS,
    LARGE_WHOLE_NUMBERS,
    NESTED,
    ODD_KEYS,
    TEXTS,
    WHOLE_NUMBERS,
    Colour,
    after_json,
    deep,
    portrait,
)


class ArgumentPromises(Helpers):
    """The arguments are passed after `json.dumps` and `json.loads`."""

    def assert_arrives(self, value: Any) -> None:
        """Compare what the task receives, by value and type, with the value after JSON."""
        self.assert_returns(portrait(after_json(value)), self.tasks.portray, value)

    def assert_arrive(self, values: list[Any]) -> None:
        """Compare each of the values."""
        self.assert_arrives(values)
        for value in values:
            with self.subTest(value=repr(value)[:80]):
                self.assert_arrives(value)

    def test_a_task_needs_no_arguments(self) -> None:
        """Arguments are passed if the Task takes them. (topics/tasks, Enqueueing Tasks)"""
        self.assert_returns([[], {}], self.tasks.arguments)

    def test_arguments_are_passed_by_position(self) -> None:
        """These can be passed as-is. (topics/tasks, Enqueueing Tasks)"""
        self.assert_returns([[1, "two", None], {}], self.tasks.arguments, 1, "two", None)

    def test_arguments_are_passed_by_name(self) -> None:
        """These can be passed as-is. (topics/tasks, Enqueueing Tasks)"""
        self.assert_returns(
            [[1], {"two": 2, "three": []}], self.tasks.arguments, 1, two=2, three=[]
        )

    def test_arguments_may_have_the_names_that_the_api_uses(self) -> None:
        """Arguments are passed to the function. (ref/tasks, Task.enqueue)"""
        names = ["task", "args", "kwargs", "context", "backend", "priority", "queue_name"]
        names += ["run_after", "result_id", "func", "function", "id", "using", "name"]
        values = dict.fromkeys(names, 1)
        self.assert_returns([[], values], self.tasks.arguments, **values)

    def test_a_hundred_arguments_are_passed(self) -> None:
        """Arguments are passed to the function. (ref/tasks, Task.enqueue)"""
        by_name = {f"name_{number}": number for number in range(100)}
        self.assert_returns(
            [list(range(100)), by_name], self.tasks.arguments, *range(100), **by_name
        )

    def test_texts_arrive(self) -> None:
        """Arguments make a journey through JSON. (ref/tasks, Task.enqueue)"""
        self.assert_arrive(TEXTS)

    def test_whole_numbers_arrive(self) -> None:
        """They preserve their type. (ref/tasks, Task.enqueue)"""
        self.assert_arrive(WHOLE_NUMBERS)

    def test_whole_numbers_of_more_than_64_bits_arrive(self) -> None:
        """They preserve their type. (ref/tasks, Task.enqueue)"""
        self.assert_arrive(LARGE_WHOLE_NUMBERS)

    def test_floats_arrive(self) -> None:
        """They preserve their type. (ref/tasks, Task.enqueue)"""
        self.assert_arrive(FLOATS)

    def test_extreme_floats_arrive(self) -> None:
        """They preserve their type, also whole ones. (ref/tasks, Task.enqueue)"""
        self.assert_arrive(EXTREME_FLOATS)

    def test_booleans_and_none_arrive(self) -> None:
        """They preserve their type. (ref/tasks, Task.enqueue)"""
        self.assert_arrive([True, False, None])

    def test_lists_and_dictionaries_arrive(self) -> None:
        """They preserve their type. (ref/tasks, Task.enqueue)"""
        self.assert_arrive([[], {}, [1, "two", None], {"key": "value"}, NESTED])

    def test_deeply_nested_values_arrive(self) -> None:
        """Arguments make a journey through JSON. (ref/tasks, Task.enqueue)"""
        self.assert_arrives(deep(20))

    def test_large_values_arrive(self) -> None:
        """Arguments make a journey through JSON. (ref/tasks, Task.enqueue)"""
        self.assert_returns(10**6, self.tasks.measure, "ü" * 10**6)
        self.assert_returns(10**5, self.tasks.measure, list(range(10**5)))

    def test_tuples_arrive_as_lists(self) -> None:
        """The tuple becomes a list. (topics/tasks, Enqueueing Tasks)"""
        self.assert_arrives([(), (1, 2), {"key": (1, (2, 3))}])

    def test_a_task_that_needs_a_tuple_fails(self) -> None:
        """A list cannot be used as a key. (topics/tasks, Enqueueing Tasks)"""
        result = self.run_task(self.tasks.double_dictionary, (1, 2, 3))
        self.assert_failed(result, TypeError)
        self.assertIn("unhashable", result.errors[0].traceback)

    def test_keys_arrive_as_texts(self) -> None:
        """JSON has no other keys. (ref/tasks, Task.enqueue)"""
        self.assert_arrives(ODD_KEYS)
        self.assert_arrives({"inner": [ODD_KEYS]})

    def test_subclasses_of_a_text_arrive_as_texts(self) -> None:
        """JSON keeps the text, but not the class. (ref/tasks, Task.enqueue)"""
        self.assert_arrives([Colour.RED, {"key": Colour.RED}])

    def test_changes_of_an_argument_after_the_call_have_no_effect(self) -> None:
        """The function gets what JSON made of the argument. (ref/tasks, Task.enqueue)"""
        self.require("executes_tasks")
        argument = [1, {"two": [2]}]
        result = self.tasks.echo.enqueue(argument)
        argument[1]["two"].append("changed")  # type: ignore[index]
        self.run_due()
        self.assertEqual(self.now(result).return_value, [1, {"two": [2]}])

    def test_changes_of_a_received_argument_do_not_reach_the_caller(self) -> None:
        """The function gets what JSON made of the argument. (ref/tasks, Task.enqueue)"""
        argument = [1]
        self.run_task(self.tasks.append_to, argument)
        self.assertEqual(argument, [1])
