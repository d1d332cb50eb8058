"""Backends with faults in arguments, return values and texts."""

import json
from copy import deepcopy
from dataclasses import replace

from tests.conformance.memory import MemoryBackend
from tests.conformance.mutants.finders import found_by


@found_by(
    "keys_arrive_as_texts",
    "the_keys_of_a_return_value_become_texts",
    "tuples_arrive_as_lists",
    "returned_tuples_become_lists",
    "a_task_that_needs_a_tuple_fails",
    "subclasses_of_a_text_arrive_as_texts",
)
class KeepsTypes(MemoryBackend):
    def dump(self, value):
        json.dumps(value)
        return deepcopy(value)

    def load(self, value):
        return deepcopy(value)


@found_by(
    "changes_of_an_argument_after_the_call_have_no_effect",
    "changes_of_a_received_argument_do_not_reach_the_caller",
)
class KeepsReferences(MemoryBackend):
    def dump(self, value):
        json.dumps(value)
        return value

    def load(self, value):
        return value


@found_by("extreme_floats_arrive", "extreme_floats_can_be_returned")
class RoundsFloats(MemoryBackend):
    def load(self, text):
        return json.loads(
            text, parse_float=lambda t: int(float(t)) if float(t) == round(float(t)) else float(t)
        )


@found_by("whole_numbers_of_more_than_64_bits_arrive")
class ShortNumbers(MemoryBackend):
    def load(self, text):
        return json.loads(text, parse_int=lambda t: int(t) if abs(int(t)) < 2**63 else float(t))


@found_by("enqueue_refuses_what_is_not_json", "aenqueue_refuses_what_is_not_json")
class ConvertsWithStr(MemoryBackend):
    def dump(self, value):
        return json.dumps(value, default=str)


@found_by("a_return_value_that_is_not_json_fails_the_task")
class ConvertsReturnValues(MemoryBackend):
    def call(self, row):
        return json.loads(json.dumps(super().call(row), default=repr))


@found_by("large_values_arrive", "large_values_can_be_returned")
class ShortTexts(MemoryBackend):
    def dump(self, value):
        text = json.dumps(value)
        return text if len(text) < 65_536 else '"too long"'


@found_by("the_order_of_keys_arrives")
class SortsKeys(MemoryBackend):
    def dump(self, value):
        return json.dumps(value, sort_keys=True)


@found_by("a_text_with_a_nul_arrives", "an_error_with_a_nul_is_stored")
class NoNul(MemoryBackend):
    def dump(self, value):
        text = json.dumps(value)
        if "u0000" in text:
            raise ValueError
        return text

    def describe(self, error):
        described = super().describe(error)
        if "\0" in described.traceback:
            raise ValueError
        return described


@found_by("a_text_with_half_a_character_arrives", "an_error_with_half_a_character_is_stored")
class Utf8Only(MemoryBackend):
    def dump(self, value):
        return json.dumps(value, ensure_ascii=False).encode().decode()

    def describe(self, error):
        described = super().describe(error)
        described.traceback.encode()
        return described


@found_by("the_result_has_the_return_value", "a_task_can_enqueue_another_task", "texts_arrive")
class LosesReturnValues(MemoryBackend):
    def result_of(self, row):
        return super().result_of(replace(row, return_value=None))


@found_by("arguments_are_passed_by_name", "arguments_may_have_the_names_that_the_api_uses")
class TakesTheName(MemoryBackend):
    def enqueue(self, task, args, kwargs):
        return super().enqueue(task, args, {key: kwargs[key] for key in kwargs if key == "value"})


@found_by("arguments_may_have_the_names_that_the_api_uses")
class PassesTheTaskByName(MemoryBackend):
    def enqueue(self, task, args, kwargs):
        return super().enqueue(task, args, {key: kwargs[key] for key in kwargs if key != "task"})


@found_by("a_hundred_arguments_are_passed", "deeply_nested_values_arrive")
class Small(MemoryBackend):
    def dump(self, value):
        text = json.dumps(value)
        if text.count("[") > 9 or text.count(",") > 50:
            raise ValueError
        return text


@found_by("booleans_and_none_arrive", "lists_and_dictionaries_arrive")
class NumbersForBooleans(MemoryBackend):
    def dump(self, value):
        return json.dumps(value).replace("true", "1").replace("false", "0")


@found_by("texts_arrive", "all_types_of_json_can_be_returned")
class EmptyIsNone(MemoryBackend):
    def dump(self, value):
        return json.dumps(value).replace('""', "null")


@found_by("what_is_no_number_arrives_or_is_refused")
class StrictLater(MemoryBackend):
    def load(self, text):
        return json.loads(text, parse_constant=lambda _: None)
