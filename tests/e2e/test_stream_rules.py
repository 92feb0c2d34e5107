"""The rules of stream_rules.py: each refuses a stream that only it can refuse, none a good one."""

import copy
import json
import pathlib

import pytest

import answers
import raw
from stream_rules import RULES, broken_rules, check_stream

DONE = "data: [DONE]\n\n"
CALL = {"index": 0, "id": "call_1", "type": "function",
        "function": {"name": "f", "arguments": "{\"a\":"}}
ERROR = {"error": {"message": "It broke.", "type": "upstream_error", "param": None, "code": None}}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def response_of(body, content_type="text/event-stream", complete=True):
    response = raw.Response()
    response.status, response.complete = 200, complete
    response.body = body if isinstance(body, bytes) else body.encode()
    response.fields = [("Content-Type", content_type)]
    return response


def chunks(*deltas):
    base = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return [{**base, "choices": [{"index": 0, "delta": copy.deepcopy(delta),
                                  "finish_reason": reason}]} for delta, reason in deltas]


def talk():
    """0: role, 1: thinking, 2: text, 3: the end, 4: usage"""
    made = chunks(({"role": "assistant", "content": ""}, None), ({"reasoning_content": "m"}, None),
                  ({"content": "x"}, None), ({}, "stop"))
    return [*made, {**made[0], "choices": [], "usage": dict(USAGE)}]


def tools():
    """0: role, 1 and 2: a call in two pieces, 3: a second one, 4: the end"""
    second = {**CALL, "index": 1, "id": "call_2", "function": {"name": "g", "arguments": "{}"}}
    more = {"index": 0, "function": {"arguments": "1}"}}
    return chunks(({"role": "assistant", "content": ""}, None), ({"tool_calls": [CALL]}, None),
                  ({"tool_calls": [more]}, None), ({"tool_calls": [second]}, None),
                  ({}, "tool_calls"))


def failure():
    return [*talk()[:3], copy.deepcopy(ERROR)]


def completion():
    base = {"id": "a", "object": "text_completion", "created": 1, "model": "m"}
    return [{**base, "choices": [{"index": 0, "text": text, "logprobs": None,
                                  "finish_reason": reason}]} for text, reason in
            (("x", None), ("", "stop"))]


def sse(objects, tail=DONE):
    return "".join(f"data: {json.dumps(obj)}\n\n" for obj in objects) + tail


def changed(make, change):
    objects = make()
    change(objects)
    return sse(objects)


def choice(objects, i):
    return objects[i]["choices"][0]


def delta(objects, i):
    return choice(objects, i)["delta"]


def call(objects, i):
    return delta(objects, i)["tool_calls"][0]


GOOD = {
    "talk": sse(talk()), "tools": sse(tools()), "failure": sse(failure()),
    "completion": sse(completion()), "failure at once": sse([ERROR]),
    "keep-alives": ": keep-alive\n" + sse(talk()[:1], "") + ": keep-alive\n" + sse(talk()[1:]),
}

# what is sent, the rule that it breaks, the stream
BAD = [
    ("a ping event without data", "only_data_and_comments", "event: ping\n" + sse(talk())),
    ("an event id", "only_data_and_comments", "id: 1\n" + sse(talk())),
    ("a retry", "only_data_and_comments", "retry: 1000\n" + sse(talk())),
    ("an error event by its name", "only_data_and_comments",
     sse(talk()[:3], "") + "event: error\n" + sse([ERROR])),
    ("a ping as data", "data_is_a_chunk_or_an_error",
     sse(talk()[:1], "") + sse([{"type": "ping"}], "") + sse(talk()[1:])),
    ("a keep-alive as data", "data_is_json", "data: : keepalive\n\n" + sse(talk())),
    ("CRLF", "lines_end_in_lf", sse(talk()).replace("\n", "\r\n")),
    ("no space", "one_space_after_data", sse(talk()).replace("data: {", "data:{")),
    ("no [DONE]", "done_ends_it", sse(talk(), "")),
    ("[DONE] twice", "done_ends_it", sse(talk()) + DONE),
    ("[DONE] without its newlines", "every_event_has_its_blank_line", sse(talk())[:-2]),
    ("one LF between events", "every_event_has_its_blank_line",
     sse(talk()).replace("}\n\ndata: {", "}\ndata: {")),
    ("an error that is not closed", "every_event_has_its_blank_line",
     sse(failure(), "")[:-1]),
    ("a blank line after a comment", "no_blank_line_of_its_own", ": keep-alive\n\n" + sse(talk())),
    ("a ping as a comment", "comments_are_no_pings", ": ping\n" + sse(talk())),
    ("bytes that are no UTF-8", "text_is_utf_8", b": \xff\n" + sse(talk()).encode()),
    ("a line separator", "no_line_separators_but_lf", ": \u2028\n" + sse(talk())),
    ("64 KiB in a line", "lines_are_short",
     changed(talk, lambda o: delta(o, 2).update(content="x" * 65536))),
    ("an error as a text", "an_error_is_an_object_with_a_message",
     sse([*talk()[:3], {"error": "boom"}])),
    ("an error without a message", "an_error_is_an_object_with_a_message",
     changed(failure, lambda o: o[3]["error"].update(message=""))),
    ("an error of another type", "an_error_is_an_object_with_a_message",
     changed(failure, lambda o: o[3]["error"].update(type="api_error"))),
    ("an error beside choices", "an_error_stands_alone",
     changed(failure, lambda o: o[3].update(copy.deepcopy(talk()[2])))),
    ("text after an error", "nothing_comes_after_an_error", sse([*failure(), talk()[2]])),
    ("no reason and no error", "ends_with_a_reason_or_an_error", sse(talk()[:3])),
    ("a reason and an error", "ends_with_a_reason_or_an_error", sse([*talk()[:4], ERROR])),
    ("two errors", "ends_with_a_reason_or_an_error", sse([*failure(), ERROR])),
    ("a null error", "no_error_key_without_an_error", changed(talk, lambda o: o[1].update(error=None))),
    ("another id", "chunks_belong_together", changed(talk, lambda o: o[1].update(id="b"))),
    ("an empty id", "chunks_belong_together",
     changed(talk, lambda o: [chunk.update(id="") for chunk in o])),
    ("another time", "chunks_belong_together", changed(talk, lambda o: o[1].update(created=2))),
    ("another model", "chunks_belong_together", changed(talk, lambda o: o[1].update(model="n"))),
    ("a choice without index", "choices_have_an_index",
     changed(talk, lambda o: choice(o, 2).pop("index"))),
    ("a choice without reason", "choices_have_their_fields",
     changed(talk, lambda o: choice(o, 2).pop("finish_reason"))),
    ("a choice without delta", "choices_have_their_fields",
     changed(talk, lambda o: choice(o, 2).pop("delta"))),
    ("a completion without text", "choices_have_their_fields",
     changed(completion, lambda o: choice(o, 0).pop("text"))),
    ("Ollama's reason", "reasons_are_known",
     changed(talk, lambda o: choice(o, 3).update(finish_reason="load"))),
    ("text after the reason", "the_reason_comes_last",
     changed(talk, lambda o: o.insert(4, copy.deepcopy(o[2])))),
    ("stop after calls", "calls_end_with_tool_calls",
     changed(tools, lambda o: choice(o, 4).update(finish_reason="stop"))),
    ("usage without choices", "choices_are_a_list", changed(talk, lambda o: o[4].pop("choices"))),
    ("usage with null choices", "choices_are_a_list",
     changed(talk, lambda o: o[4].update(choices=None))),
    ("usage beside text", "usage_comes_once_and_last",
     changed(talk, lambda o: o[2].update(usage=dict(USAGE)))),
    ("usage twice", "usage_comes_once_and_last", changed(talk, lambda o: o.append(o[4]))),
    ("usage without its numbers", "usage_comes_once_and_last",
     changed(talk, lambda o: o[4]["usage"].pop("total_tokens"))),
    ("no choices, no usage", "no_choices_only_with_usage",
     changed(talk, lambda o: o[4].pop("usage"))),
    ("an empty role", "the_role_comes_first_and_once",
     changed(talk, lambda o: delta(o, 0).update(role=""))),
    ("no role", "the_role_comes_first_and_once", changed(talk, lambda o: delta(o, 0).pop("role"))),
    ("the role again", "the_role_comes_first_and_once",
     changed(talk, lambda o: delta(o, 2).update(role="assistant"))),
    ("an empty delta before the role", "the_role_comes_first_and_once",
     changed(talk, lambda o: o.insert(0, chunks(({"content": ""}, None))[0]))),
    ("a first delta without content", "the_first_content_is_a_text",
     changed(talk, lambda o: delta(o, 0).pop("content"))),
    ("null content", "content_is_a_text_or_absent",
     changed(talk, lambda o: delta(o, 1).update(content=None))),
    ("thinking under Ollama's name", "deltas_have_no_other_fields",
     changed(talk, lambda o: delta(o, 1).update(thinking="m"))),
    ("thinking beside text", "thinking_is_apart_from_content",
     changed(talk, lambda o: delta(o, 2).update(reasoning_content="m"))),
    ("empty thinking", "thinking_is_apart_from_content",
     changed(talk, lambda o: delta(o, 1).update(reasoning_content=""))),
    ("thinking beside a completion's text", "thinking_is_apart_from_content",
     changed(completion, lambda o: choice(o, 0).update(reasoning_content="m"))),
    ("two calls in a chunk", "one_call_in_a_chunk",
     changed(tools, lambda o: delta(o, 1)["tool_calls"].append(call([o.pop(3)], 0)))),
    ("two calls with one index", "calls_are_counted",
     changed(tools, lambda o: call(o, 3).update(index=0))),
    ("calls from index 1", "calls_are_counted",
     changed(tools, lambda o: [call(o, i).update(index=call(o, i)["index"] + 1)
                               for i in (1, 2, 3)])),
    ("a call without index", "calls_are_counted",
     changed(tools, lambda o: call(o, 3).pop("index"))),
    ("a call without id", "calls_begin_whole", changed(tools, lambda o: call(o, 3).pop("id"))),
    ("a call without type", "calls_begin_whole", changed(tools, lambda o: call(o, 3).pop("type"))),
    ("a call without name", "calls_begin_whole",
     changed(tools, lambda o: call(o, 3)["function"].pop("name"))),
    ("the name again", "calls_go_on_with_arguments_only",
     changed(tools, lambda o: call(o, 2)["function"].update(name="f"))),
    ("the type again", "calls_go_on_with_arguments_only",
     changed(tools, lambda o: call(o, 2).update(type="function"))),
    ("an id for two calls", "ids_of_calls_differ",
     changed(tools, lambda o: call(o, 3).update(id="call_1"))),
    ("arguments as an object", "arguments_are_text",
     changed(tools, lambda o: call(o, 3)["function"].update(arguments={}))),
    ("no arguments", "arguments_add_up_to_an_object",
     changed(tools, lambda o: call(o, 3)["function"].update(arguments=""))),
    ("half of the arguments", "arguments_add_up_to_an_object", changed(tools, lambda o: o.pop(2))),
]
# A stream that breaks the rule cannot but break these as well.
ALSO = {
    "CRLF": {"no_blank_line_of_its_own", "every_event_has_its_blank_line", "done_ends_it",
             "only_data_and_comments"},
    "an error event by its name": {"no_blank_line_of_its_own"},
    "[DONE] without its newlines": {"done_ends_it"},
    "an error that is not closed": {"done_ends_it"},
    "an error beside choices": {"data_is_a_chunk_or_an_error"},
    "two errors": {"nothing_comes_after_an_error"},
    "a ping as data": {"chunks_belong_together", "choices_are_a_list",
                       "no_choices_only_with_usage"},
    "two calls with one index": {"calls_go_on_with_arguments_only",
                                 "arguments_add_up_to_an_object"},
    "arguments as an object": {"arguments_add_up_to_an_object"},
}


@pytest.mark.parametrize("name", GOOD)
def test_good_streams_break_no_rule(name):
    """The rules are not so strict that nothing passes."""
    assert broken_rules(response_of(GOOD[name])) == []


@pytest.mark.parametrize("why, name, body", BAD, ids=[why.replace(" ", "-") for why, *_ in BAD])
def test_bad_streams_break_their_rule(why, name, body):
    """Each variant is noticed, by its own rule."""
    broken = set(broken_rules(response_of(body)))
    assert name in broken
    assert broken - {name} <= ALSO.get(why, set())


def test_bad_ends_break_their_rule():
    """What the bytes of the body do not say: their type, and how they ended."""
    body = sse(talk())
    assert broken_rules(response_of(body, "application/json")) == ["typed_as_an_event_stream"]
    assert broken_rules(response_of(body, complete=False)) == ["body_ends_in_order"]


def test_every_rule_is_broken_here():
    """No rule is without a stream that breaks it."""
    assert {name for _, name, _ in BAD} | {"typed_as_an_event_stream", "body_ends_in_order"} \
        == set(RULES)


@pytest.mark.parametrize("make, options", [
    (failure, {}), (talk, {}), (talk, {"expect_error": True, "usage": True}),
    (tools, {"usage": True}), (completion, {})])
def test_check_stream_wants_what_the_test_says(make, options):
    """An error, a usage or chunks of the other route where none is expected, and the reverse."""
    with pytest.raises(AssertionError):
        check_stream(response_of(sse(make())), **options)


def test_check_stream_gives_the_stream_parsed():
    """The good one, with what it says."""
    stream = check_stream(response_of(sse(talk())), usage=True)
    assert (stream.text, stream.finish_reasons) == ("x", ["stop"])


@pytest.mark.parametrize("path", sorted((answers.TESTS / "golden").glob("*/answer.sse")),
                         ids=lambda path: pathlib.Path(path).parent.name)
def test_golden_streams_break_no_rule(path):
    """What the golden cases promise."""
    assert broken_rules(response_of(path.read_bytes())) == []
