"""What holds for every stream of chat chunks and completions, whatever it says.

Each rule stands for a variant on the wire that breaks some client of the OpenAI API; the comment
says which. The rules read the bytes themselves and take nothing for granted, so that each fails
by its own name (test_stream_rules.py). conftest.py holds every stream of the suite against them;
check_stream() asks for more where a test knows what the stream has to be.
"""

import collections
import json

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter"}
ERROR_TYPES = {"invalid_request_error", "rate_limit_error", "server_error", "upstream_error"}
DELTA_FIELDS = {"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning"}
LINE_BYTES = 64 * 1024
RULES = {}


def rule(function):
    RULES[function.__name__] = function
    return function


class Stream:
    """The bytes taken apart without judging them."""

    def __init__(self, response):
        self.complete = response.complete
        self.content_type = response.header("Content-Type", "")
        self.body = response.body
        self.text = response.body.decode("utf-8", "replace")
        self.lines = self.text.split("\n")
        self.payloads = [line[5:].strip() for line in self.lines if line.startswith("data:")]
        self.objects = [obj for obj in map(parsed, self.payloads) if isinstance(obj, dict)]
        self.errors = [obj for obj in self.objects if obj.get("error")]
        self.chunks = [obj for obj in self.objects if not obj.get("error")]
        self.choices = [choice for obj in self.objects for choice in obj.get("choices") or []
                        if isinstance(choice, dict)]
        self.deltas = [choice["delta"] for choice in self.choices
                       if isinstance(choice.get("delta"), dict)]
        self.calls = [call for delta in self.deltas for call in delta.get("tool_calls") or []]
        self.is_chat = not any(obj.get("object") == "text_completion" for obj in self.objects)


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


# ---- lines ----


@rule
def typed_as_an_event_stream(stream):
    # application/json: Qwen Code ends, Open WebUI shows nothing.
    return stream.content_type.startswith("text/event-stream")


@rule
def lines_end_in_lf(stream):
    # All of the measured clients take CRLF; hand-written readers split at LF.
    return "\r" not in stream.text


@rule
def text_is_utf_8(stream):
    # openai-python decodes strictly.
    return stream.text.encode() == stream.body


@rule
def no_line_separators_but_lf(stream):
    # Readers by str.splitlines() cut a line there.
    return not any(char in stream.text for char in "\u2028\u2029\u0085")


@rule
def lines_are_short(stream):
    # one-api stops at 64 KiB, Open WebUI at 128.
    return all(len(line.encode()) < LINE_BYTES for line in stream.lines)


@rule
def only_data_and_comments(stream):
    # `event: ping`: openai-node and LangChain throw; `id:` and `retry:`: openai-python throws.
    return all(line == "" or line.startswith(("data:", ":")) for line in stream.lines)


@rule
def one_space_after_data(stream):
    # one-api cuts six bytes.
    return all(line.startswith("data: ") for line in stream.lines if line.startswith("data"))


@rule
def every_event_has_its_blank_line(stream):
    # Two events in one: all break. An error event that is not closed: openai-node, ai and
    # LangChain end as if all were well.
    following = zip(stream.lines, [*stream.lines[1:], ""])
    return stream.text.endswith("\n\n") and all(
        after == "" for line, after in following if line.startswith("data"))


@rule
def no_blank_line_of_its_own(stream):
    # After a comment: older openai-go dispatches an event of nothing and fails.
    before = ["", *stream.lines]
    return not any(line == "" and not last.startswith("data")
                   for last, line in zip(before, stream.lines[:-1]))


@rule
def comments_are_no_pings(stream):
    # Continue ends at `: ping`.
    return not any(line.lstrip(": ").startswith("ping")
                   for line in stream.lines if line.startswith(":"))


# ---- events ----


@rule
def data_is_json(stream):
    # `data: : keepalive`: all of the measured clients throw.
    return all(text == "[DONE]" or isinstance(parsed(text), dict) for text in stream.payloads)


@rule
def data_is_a_chunk_or_an_error(stream):
    # `{"type":"ping"}`: openai-node's helper throws, ai shows an error.
    return all("error" in obj or obj.get("object") in ("chat.completion.chunk", "text_completion")
               for obj in stream.objects)


@rule
def done_ends_it(stream):
    # Without it readers by hand wait; with bytes behind it openai-node 6 reads on.
    return stream.payloads[-1:] == ["[DONE]"] and stream.payloads.count("[DONE]") == 1 \
        and stream.text.endswith("data: [DONE]\n\n")


@rule
def body_ends_in_order(stream):
    # A cut connection: opencode repeats the request for ever; all others throw.
    return stream.complete


@rule
def ends_with_a_reason_or_an_error(stream):
    # Neither: openai-node, LangChain and ai take half an answer for a whole one.
    reasons = [choice for choice in stream.choices if choice.get("finish_reason")]
    return len(reasons) + len(stream.errors) == 1


@rule
def no_error_key_without_an_error(stream):
    # `"error": null`: ai loses the text, openai-go sees an error.
    return all(obj["error"] for obj in stream.objects if "error" in obj)


@rule
def an_error_is_an_object_with_a_message(stream):
    # A bare text: ai shows a dump of its schema, openai-python loses the code.
    return all(isinstance(obj["error"], dict)
               and set(obj["error"]) == {"message", "type", "param", "code"}
               and isinstance(obj["error"]["message"], str) and obj["error"]["message"]
               and obj["error"]["type"] in ERROR_TYPES for obj in stream.errors)


@rule
def an_error_stands_alone(stream):
    # Beside choices: @ai-sdk/openai ignores it.
    return all(list(obj) == ["error"] for obj in stream.errors)


@rule
def nothing_comes_after_an_error(stream):
    # openai-node and openai-python stop reading there.
    return not stream.errors or stream.objects[-1] is stream.errors[0]


# ---- chunks ----


@rule
def chunks_belong_together(stream):
    # LangChain makes a message of each id.
    return all(len({json.dumps(chunk.get(name)) for chunk in stream.chunks}) <= 1
               for name in ("id", "object", "created", "model")) and all(
        isinstance(chunk.get("id"), str) and chunk["id"] and type(chunk.get("created")) is int
        and isinstance(chunk.get("model"), str) for chunk in stream.chunks)


@rule
def choices_are_a_list(stream):
    # Absent or null: openai-node's helper throws, ai shows an error.
    return all(isinstance(chunk.get("choices"), list) for chunk in stream.chunks)


@rule
def choices_have_an_index(stream):
    # Without: openai-node's helper throws, @ai-sdk/openai loses all text.
    return all(type(choice.get("index")) is int for choice in stream.choices)


@rule
def choices_have_their_fields(stream):
    # openai-python's types, ai's schemas.
    wanted = {"delta", "finish_reason"} if stream.is_chat else {"text", "finish_reason"}
    return all(wanted <= set(choice) for choice in stream.choices) \
        and (not stream.is_chat or len(stream.deltas) == len(stream.choices))


@rule
def reasons_are_known(stream):
    # LangChain and openai-python have a closed list.
    return all(choice.get("finish_reason") in FINISH_REASONS | {None} for choice in stream.choices)


@rule
def the_reason_comes_last(stream):
    # openai-node's helper and Cline stop listening to the choice.
    return not any(choice.get("finish_reason") for choice in stream.choices[:-1])


@rule
def calls_end_with_tool_calls(stream):
    # `stop`: ai ends after the first step.
    reasons = {choice.get("finish_reason") for choice in stream.choices} - {None}
    return not stream.calls or reasons <= {"tool_calls", "length"}


@rule
def usage_comes_once_and_last(stream):
    # On chunks with text: Continue loses it, LangChain adds them up.
    with_usage = [chunk for chunk in stream.chunks if chunk.get("usage") is not None]
    return not with_usage or (
        with_usage == stream.chunks[-1:] and not with_usage[0].get("choices")
        and all(type(with_usage[0]["usage"].get(name)) is int
                for name in ("prompt_tokens", "completion_tokens", "total_tokens")))


@rule
def no_choices_only_with_usage(stream):
    # Clients that read choices[0] must not meet such a chunk unasked.
    return all(chunk.get("choices") or chunk.get("usage") for chunk in stream.chunks)


# ---- deltas ----


@rule
def the_role_comes_first_and_once(stream):
    # None: openai-node's helper throws, LangChain loses calls; "": @ai-sdk/openai loses the text;
    # again: openai-python has `assistantassistant`; an empty delta before: LangChain's class.
    return [delta.get("role") for delta in stream.deltas[:1]] in ([], ["assistant"]) \
        and not any("role" in delta for delta in stream.deltas[1:])


@rule
def the_first_content_is_a_text(stream):
    # n8n and LibreChat begin with it.
    return not stream.deltas or isinstance(stream.deltas[0].get("content"), str)


@rule
def content_is_a_text_or_absent(stream):
    # null: Chatbox prints it.
    return all(isinstance(delta["content"], str) for delta in stream.deltas if "content" in delta)


@rule
def deltas_have_no_other_fields(stream):
    # `thinking`: openai-python and ai lose it.
    return all(set(delta) <= DELTA_FIELDS for delta in stream.deltas)


@rule
def thinking_is_apart_from_content(stream):
    # In one chunk: NextChat and LobeChat drop the content. null or "": shown as thinking.
    fields = ("reasoning_content", "reasoning")
    pieces = stream.deltas if stream.is_chat else stream.choices
    return all(not (any(field in piece for field in fields)
                    and (piece.get("content") or piece.get("text"))) for piece in pieces) \
        and all(piece[field] and isinstance(piece[field], str)
                for piece in pieces for field in fields if field in piece)


# ---- tool calls ----


@rule
def one_call_in_a_chunk(stream):
    # NextChat reads the first only.
    return all(len(delta["tool_calls"]) == 1 for delta in stream.deltas if "tool_calls" in delta)


@rule
def calls_are_counted(stream):
    # The same index twice: openai-node and openai-python make one call of two; none: they lose it.
    seen = list(dict.fromkeys(call.get("index") for call in stream.calls))
    begun = [call.get("index") for call in stream.calls if "id" in call]
    return seen == list(range(len(seen))) and len(begun) == len(set(begun))


@rule
def calls_begin_whole(stream):
    # No id: LangChain calls them invalid, opencode fails; no type: openai-node's helper throws.
    first = {}
    for call in stream.calls:
        first.setdefault(call.get("index"), call)
    return all(isinstance(call.get("id"), str) and call["id"] and call.get("type") == "function"
               and isinstance(call.get("function", {}).get("name"), str)
               and call["function"]["name"] for call in first.values())


@rule
def calls_go_on_with_arguments_only(stream):
    # id or name again: openai-python has `call_1call_1`, Open WebUI `ff`.
    seen = set()
    for call in stream.calls:
        again = call.get("index") in seen
        if again and (set(call) != {"index", "function"} or set(call["function"]) != {"arguments"}):
            return False
        seen.add(call.get("index"))
    return True


@rule
def ids_of_calls_differ(stream):
    # Results are matched by them.
    ids = collections.Counter(call["id"] for call in stream.calls if "id" in call)
    return all(count == 1 for count in ids.values())


@rule
def arguments_are_text(stream):
    # An object: ai throws, the SDKs make `[object Object]` of it.
    return all(isinstance(call.get("function", {}).get("arguments"), str) for call in stream.calls)


@rule
def arguments_add_up_to_an_object(stream):
    # "": agents parse it and fail. An answer that was cut or broken may have half of them.
    whole = collections.defaultdict(str)
    for call in stream.calls:
        whole[call.get("index")] += str(call.get("function", {}).get("arguments"))
    ended = any(choice.get("finish_reason") == "tool_calls" for choice in stream.choices)
    return not ended or all(isinstance(parsed(text), dict) for text in whole.values())


# ---- all of it ----


def broken_rules(response):
    """The names of the rules that a stream breaks."""
    stream = Stream(response)
    return [name for name, holds in RULES.items() if not holds(stream)]


def check_rules(response):
    broken = broken_rules(response)
    assert not broken, f"{broken} in {response.body[-2000:]!r}"


def check_stream(response, expect_error=False, usage=False):
    """Checks the whole of a finished stream of chat chunks and returns it parsed."""
    assert response.status == 200
    check_rules(response)
    sse = response.sse
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in sse.chunks)
    if expect_error:
        assert len(sse.errors) == 1, "a broken stream has one error event"
        assert sse.finish_reasons == [], "a broken stream has no finish reason"
    else:
        assert sse.errors == []
        assert len(sse.usage) == (1 if usage else 0)
    return sse
