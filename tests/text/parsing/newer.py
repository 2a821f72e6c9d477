"""What models of newer formats write, and what it means, also where it isn't what their templates show."""

from typing import Any

from tests.text.parsing.recorded import Recorded

from swell.text.parsing.parts import Part, Text, Thought, ToolCall


def _paris(**more: Any) -> ToolCall:
    return ToolCall("get_weather", {"location": "Paris", **more})


NOW = ToolCall("now", {})
GEMMA = "<|tool_call>call:"
LFM = "List of tools: <|tool_list_start|>"
K3 = "<|open|> <|close|> <|end_of_msg|>"
SOLAR = "<|think|> <|content|> <|begin|> <|tool_call:begin|>"
FUNCTIONARY = ">>>all >>>${recipient}"
MINICPM = '<function name="NAME"><param name="KEY">'
MARK = '<|"|>'


def _gemma(inside: str, *parts: ToolCall) -> Recorded:
    output = f"<|tool_call>{inside}<tool_call|>"
    return Recorded(f"Gemma 4: {inside}", GEMMA, output, [*parts] or [Text(output)])


def _lfm(inside: str, *parts: ToolCall) -> Recorded:
    output = f"<|tool_call_start|>{inside}<|tool_call_end|>"
    return Recorded(f"LFM2: {inside}", LFM, output, [*parts] or [Text(output)])


def _mistral(output: str, *parts: Part) -> Recorded:
    return Recorded(f"Mistral: {output}", "[TOOL_CALLS][THINK][/THINK]", output, [*parts] or [Text(output)])


_MISTRAL = [
    _mistral('get_weather[ARGS]{"location": "Paris"}', _paris()),
    _mistral('I look. get_weather[ARGS]{"location": "Paris"}', Text("I look."), _paris()),
    _mistral('[TOOL_CALLS]get_weather[ARGS]{"location": "Paris"}now[ARGS]{}', _paris(), NOW),
    _mistral("[TOOL_CALLS]now[ARGS]", NOW),
    _mistral("[TOOL_CALLS]now[ARGS][TOOL_CALLS]now[ARGS]{}", NOW, NOW),
    _mistral('[TOOL_CALLS] get_weather [CALL_ID] a1 [ARGS] {"location": "Paris"}', _paris()),
    _mistral('[TOOL_CALLS]weather.get_weather[ARGS]```json\n{"location": "Paris"}\n```', _paris()),
    _mistral('[TOOL_CALLS]```json\n[{"name": "now", "arguments": {}}]\n```', NOW),
    _mistral('[TOOL_CALLS]get_weather[ARGS]"{\\"location\\": \\"Paris\\"}"', _paris()),
    _mistral('[TOOL_CALLS]get_weather[ARGS]{"name": "get_weather", "arguments": {"location": "Paris"}}', _paris()),
    _mistral(
        '[TOOL_CALLS]write_file[ARGS]{"text": "[TOOL_CALLS]now[ARGS]"}',
        ToolCall("write_file", {"text": "[TOOL_CALLS]now[ARGS]"}),
    ),
    _mistral('[THINK]I look.get_weather[ARGS]{"location": "Paris"}', Thought("I look."), _paris()),
    _mistral("[TOOL_CALLS]"),
    _mistral("[TOOL_CALLS]unknown[ARGS]"),
    _mistral("[TOOL_CALLS]get_weather Paris"),
    _mistral("The mark is [ARGS], as in f[ARGS]{}."),
]

M3 = "]<]minimax[>["


def _m3(inside: str, *parts: Part) -> Recorded:
    output = f"<tool_call>{inside}</tool_call>".replace("<", f"{M3}<")
    return Recorded(f"MiniMax M3: {inside}", M3, output, [*parts] or [Text(output)])


_NOW_JSON = '{"name": "now", "arguments": {}}'
_REPORTED = [
    _gemma(_NOW_JSON, NOW),
    _gemma(f"call:get_weather(location:{MARK}Paris{MARK})", _paris()),
    _gemma('call:get_weather(location="Paris", days=2)', _paris(days=2)),
    _gemma(f":get_weather{{location:{MARK}Paris{MARK}}}", _paris()),
    _gemma("call:write_file{text:`a {b: 'c', d: [1]}`}", ToolCall("write_file", {"text": "a {b: 'c', d: [1]}"})),
    _gemma(f"call:write_file{{text:':\\w+'{MARK}}}", ToolCall("write_file", {"text": ":\\w+"})),
    _gemma(f"call:now{{@a:{MARK}b{MARK}}}", ToolCall("now", {"@a": "b"})),
    Recorded(
        "Gemma 4, a tag of results behind a call", GEMMA, "<|tool_call>call:now{}<tool_call|><|tool_response>", [NOW]
    ),
    Recorded(
        "Gemma 4, no opening tag",
        GEMMA,
        f"Hm.\ncall:get_weather{{location:{MARK}Paris{MARK}}}<tool_call|>",
        [Text("Hm."), _paris()],
    ),
    Recorded("Gemma 4, no tags", GEMMA, f"call:get_weather{{location:{MARK}Paris{MARK}}}", [_paris()]),
    Recorded(
        "Gemma 4, no tags, cut",
        GEMMA,
        f"call:get_weather{{location:{MARK}Par",
        [Text(f"call:get_weather{{location:{MARK}Par")],
    ),
    Recorded(
        "Llama 3.1, Python", "<|python_tag|>", "<|python_tag|>get_weather.call(location='Paris')<|eom_id|>", [_paris()]
    ),
    Recorded("Llama 3.1, a program", "<|python_tag|>", "<|python_tag|>print(1)", [Text("<|python_tag|>print(1)")]),
    Recorded(
        "Llama 3.1, a function", "<|python_tag|>", '<function=get_weather>{"location": "Paris"}</function>', [_paris()]
    ),
    Recorded("Llama 4", "<|python_start|><|python_end|>", "<|python_start|>[now(), now()]<|python_end|>", [NOW, NOW]),
    Recorded(
        "Llama 4, a list behind text",
        "<|python_tag|>",
        "I look.\n\n[get_weather(location='Paris')]",
        [Text("I look."), _paris()],
    ),
    Recorded(
        "a list of something else behind text",
        "<|python_tag|>",
        "See [x](y) and [now] ()",
        [Text("See [x](y) and [now] ()")],
    ),
    Recorded("Phi 4", "<|tool_call|>", f"<|tool_call|>[{_NOW_JSON}]<|/tool_call|>", [NOW]),
    Recorded("Phi 4 mini", "<|tool_call|>", f"functools[{_NOW_JSON}]", [NOW]),
    Recorded("functools in an answer", "<|tool_call|>", "Use functools [1].", [Text("Use functools [1].")]),
    Recorded(
        "InternLM",
        "<|action_start|><|plugin|>",
        f"Hm.<|action_start|><|plugin|>\n{_NOW_JSON}<|action_end|>",
        [Text("Hm."), NOW],
    ),
    Recorded("LongCat", "<longcat_tool_call>", f"<longcat_tool_call>\n{_NOW_JSON}\n</longcat_tool_call>", [NOW]),
    *(
        Recorded(f"any model, {tag}", LFM, f"Hm.\n<{tag}>{_NOW_JSON}</{tag}>", [Text("Hm."), NOW])
        for tag in ("tool_call", "function_call", "tools", "toolcall")
    ),
    Recorded("any model, an unknown tool", LFM, '<tools>{"name": "f"}</tools>', [Text('<tools>{"name": "f"}</tools>')]),
    Recorded("Apertus, a name", "<|tools_prefix|>", f"<|tools_prefix|>[{_NOW_JSON}]<|tools_suffix|>", [NOW]),
    Recorded("Apertus, a string", "<|tools_prefix|>", '<|tools_prefix|>[{"now": "{}"}]<|tools_suffix|>', [NOW]),
    Recorded(
        "Cohere, an answer",
        "<|START_THINKING|><|END_THINKING|><|START_RESPONSE|><|END_RESPONSE|>",
        "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>",
        [Thought("a"), Text("b")],
    ),
    Recorded(
        "Cohere, an answer without a thought",
        "<|START_THINKING|><|END_THINKING|><|START_RESPONSE|><|END_RESPONSE|>",
        "<|START_RESPONSE|>b<|END_RESPONSE|>",
        [Text("b")],
    ),
    *(
        Recorded(f"MiniMax M2, {name}", "<minimax:tool_call>", output, [Text("Hm."), _paris()])
        for name, output in (
            (
                "no opening tag",
                'Hm.<invoke name="get_weather">\n<parameter name="location">Paris</parameter>\n</invoke>\n'
                "</minimax:tool_call>",
            ),
            ("no outer tags", 'Hm.<invoke name="get_weather"><parameter name="location">Paris</parameter></invoke>'),
        )
    ),
    _m3('<invoke name="get_weather">\n<location>Paris</location>\n<days>2</days>\n</invoke>', _paris(days=2)),
    _m3('<invoke name="now"></invoke>\n<invoke name="now"></invoke>', NOW, NOW),
    _m3(
        '<invoke name="get_weather"><hours><item>1</item><item>2.5</item></hours></invoke>',
        ToolCall("get_weather", {"hours": [1, 2.5]}),
    ),
    _m3(
        '<invoke name="now"><a><b>x y</b><c><item><d>true</d></item></c></a></invoke>',
        ToolCall("now", {"a": {"b": "x y", "c": [{"d": True}]}}),
    ),
    _m3('<invoke name="now"><a>1</a><a>2</a><a>3</a></invoke>', ToolCall("now", {"a": [1, 2, 3]})),
    _m3(
        '<invoke name="get_weather"><location>75001</location></invoke>', ToolCall("get_weather", {"location": "75001"})
    ),
    _m3('<invoke name="now"><a>1</b></invoke>'),
    _m3('<invoke name="now">'),
    _m3('So <invoke name="now"></invoke>'),
    _m3("<location>Paris</location>"),
    _m3('<invoke name="now">Paris<a>1</a></invoke>'),
    Recorded("MiniMax M3, thoughts", "<mm:think></mm:think>", "<mm:think>a</mm:think>b", [Thought("a"), Text("b")]),
]

NEWER = [
    *_MISTRAL,
    *_REPORTED,
    _gemma(f"call:get_weather{{location={MARK}Paris{MARK},days=2}}", _paris(days=2)),
    _gemma('call:get_weather{location:"Paris"}', _paris()),
    _gemma("call:get_weather{location:'Paris'}", _paris()),
    _gemma("call:get_weather{location:Paris}", _paris()),
    _gemma("call:get_weather{location:Paris, days:3}", _paris(days=3)),
    _gemma("call:get_weather{location:Paris, France}", ToolCall("get_weather", {"location": "Paris, France"})),
    _gemma(f"call:get_weather{{location:{MARK}Paris}}", _paris()),
    _gemma(f"call:get_weather{{location:Paris{MARK}}}", _paris()),
    _gemma(f"call:get_weather{{location:{MARK}Paris,days:2}}", _paris(days=2)),
    _gemma(f"call:get_weather{{location:{MARK}Paris{MARK}", _paris()),
    _gemma(f"call:get_weather{{location:{MARK}Paris{MARK}}}}}", _paris()),
    _gemma(f"call:get_weather{{location:{MARK}Paris{MARK},hours:[1,2}}", _paris(hours=[1, 2])),
    _gemma(f"call:get_weather{{{MARK}location{MARK}:{MARK}Paris{MARK}}}", _paris()),
    _gemma(f"call:weather.api:get_weather{{location:{MARK}Paris{MARK}}}", _paris()),
    _gemma(f"get_weather{{location:{MARK}Paris{MARK}}}", _paris()),
    _gemma(f"call:get_weather{{location:{MARK}Paris{MARK},metric:True,days:None}}", _paris(metric=True, days=None)),
    _gemma(
        f"call:get_weather{{location:75001,days:{MARK}2{MARK}}}",
        ToolCall("get_weather", {"location": "75001", "days": 2}),
    ),
    _gemma(f"call:write_file{{path:{MARK}a,text:{MARK}b{MARK}}}", ToolCall("write_file", {"path": "a", "text": "b"})),
    _gemma("call:write_file{lines:[red,dark green]}", ToolCall("write_file", {"lines": ["red", "dark green"]})),
    _gemma("call:now", NOW),
    _gemma("call:now{}call:now{}", NOW, NOW),
    _gemma(f"call:get_weather{{location:{MARK}Paris"),
    _gemma("call:get_weather{location:Paris"),
    _gemma(f"call:get_weather{{location:{MARK}Paris{MARK} and more}}"),
    _gemma("call:get_weather{location:{}[}"),
    _gemma("unknown{a:1}"),
    _gemma("call:get_weather{days:1,days:2}"),
    Recorded(
        "Gemma 4: a quote and a tag in a string",
        GEMMA,
        f'<|tool_call>call:write_file{{text:{MARK}"<tool_call|>{MARK}}}<tool_call|>Done.',
        [ToolCall("write_file", {"text": '"<tool_call|>'}), Text("Done.")],
    ),
    Recorded(
        "Gemma 4: a tag in a string",
        GEMMA,
        f"<|tool_call>call:write_file{{text:{MARK}<tool_call|>{MARK}}}<tool_call|>Done.",
        [ToolCall("write_file", {"text": "<tool_call|>"}), Text("Done.")],
    ),
    Recorded(
        "Gemma 4: two with a mark missing",
        GEMMA,
        f"<|tool_call>call:get_weather{{location:{MARK}Paris}}<tool_call|>" * 2,
        [_paris(), _paris()],
    ),
    Recorded(
        "Gemma 4: cut off",
        GEMMA,
        f"<|tool_call>call:get_weather{{location:{MARK}Paris{MARK}",
        [Text(f"<|tool_call>call:get_weather{{location:{MARK}Paris{MARK}")],
    ),
    Recorded("Gemma 4: not closed", GEMMA, "<|tool_call>call:now{}", [NOW]),
    _lfm('[write_file(text="a\nb")]', ToolCall("write_file", {"text": "a\nb"})),
    _lfm("[write_file(text='it's', path='x')]", ToolCall("write_file", {"text": "it's", "path": "x"})),
    _lfm('[write_file(text="""a "b" c""")]', ToolCall("write_file", {"text": 'a "b" c'})),
    _lfm("[write_file(from='x', class=1)]", ToolCall("write_file", {"from": "x", "class": 1})),
    _lfm("[server.get_weather(location='Paris')]", _paris()),
    _lfm(
        "[get_weather(location='Paris', hours=[1, 2.5], metric=True, days=None)]",
        _paris(hours=[1, 2.5], metric=True, days=None),
    ),
    _lfm("[get_weather(location=Paris, days='2')]", _paris(days=2)),
    _lfm("[get_weather(location='Paris'), now(]", _paris(), NOW),
    _lfm("get_weather(location='Paris')", _paris()),
    _lfm("[get_weather(location='Paris'", _paris()),
    _lfm('[{"name": "now", "arguments": {}}]', NOW),
    _lfm("[get_weather(location=a + b)]"),
    _lfm("[get_weather(days=today())]"),
    _lfm("[get_weather(*places)]"),
    _lfm("[unknown(x)]"),
    Recorded(
        "LFM2: a tag in a string",
        LFM,
        "<|tool_call_start|>[write_file(text='<|tool_call_end|>')]<|tool_call_end|>",
        [ToolCall("write_file", {"text": "<|tool_call_end|>"})],
    ),
    Recorded(
        "LFM2.5, bare",
        LFM,
        "[get_weather(location='Paris [a]'), now()]\nOk",
        [ToolCall("get_weather", {"location": "Paris [a]"}), NOW, Text("Ok")],
    ),
    Recorded("LFM2.5, a list of something else", LFM, "[1, 2] and [x(y)]", [Text("[1, 2] and [x(y)]")]),
    Recorded("LFM2.5, an unknown tool", LFM, "[print(1)]", [Text("[print(1)]")]),
    Recorded("LFM2.5, cut off", LFM, "[now(), get_wea", [Text("[now(), get_wea")]),
    Recorded(
        "MiniMax M2",
        "<minimax:tool_call>",
        'I look.\n<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="location">Paris</parameter>\n'
        '<parameter name="days">2</parameter>\n</invoke>\n<invoke name="now">\n</invoke>\n</minimax:tool_call>',
        [Text("I look."), _paris(days=2), NOW],
    ),
    Recorded(
        "MiniMax M2, cut off",
        "<minimax:tool_call>",
        '<minimax:tool_call><invoke name="now"></invoke><invoke name="now">',
        [Text('<minimax:tool_call><invoke name="now"></invoke><invoke name="now">')],
    ),
    Recorded(
        "DeepSeek 3.2",
        "{% set dsml = '｜DSML｜' %}<{{ dsml }}function_calls>",
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="location" '
        'string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="more" string="false">[1]'
        "</｜DSML｜parameter>\n</｜DSML｜invoke>\n"
        "</｜DSML｜function_calls>",
        [_paris(more=[1])],
    ),
    Recorded(
        "MiniCPM5",
        MINICPM,
        'Hm. <function name="get_weather"><param name="location"><![CDATA[a</param>]]></param></function>',
        [Text("Hm."), ToolCall("get_weather", {"location": "a</param>"})],
    ),
    Recorded("MiniCPM5, another tag", MINICPM, "<functions> are", [Text("<functions> are")]),
    Recorded(
        "Hunyuan 3",
        "<tool_calls:opensource>",
        "<tool_calls:opensource>\n<tool_call:opensource>get_weather<tool_sep:opensource>\n<arg_key:opensource>location"
        "</arg_key:opensource>\n<arg_value:opensource>Paris</arg_value:opensource>\n</tool_call:opensource>\n"
        "</tool_calls:opensource>",
        [_paris()],
    ),
    Recorded(
        "Hunyuan 3, tags that the template makes",
        "{% set END = ':opensource' %}{{ '<think{}>'.format(END) }}{{ '</think{}>'.format(END) }}"
        "{{ '<tool_calls{}>'.format(END) }}{{ '</tool_calls{}>'.format(OTHER) }}",
        "<think:opensource>Hm</think:opensource><tool_calls:opensource><tool_call:opensource>now<tool_sep:opensource>\n"
        "</tool_call:opensource></tool_calls:opensource>",
        [Thought("Hm"), NOW],
    ),
    Recorded(
        "Hunyuan 3, thoughts",
        "<think:opensource></think:opensource>",
        "<think:opensource>Hm</think:opensource>Hi",
        [Thought("Hm"), Text("Hi")],
    ),
    Recorded(
        "Apriel 1.6",
        "Here are my reasoning steps: [BEGIN FINAL RESPONSE] <tool_calls>",
        'Hm.\n[BEGIN FINAL RESPONSE]\nHi <tool_calls>[{"name": "now", "arguments": {}, "id": "1"}]</tool_calls>',
        [Thought("Hm."), Text("Hi"), NOW],
        "<|begin_assistant|>\nHere are my reasoning steps:\n",
    ),
    Recorded(
        "GigaChat 3",
        "'function call' <|role_sep|>",
        'Look.\n\nfunction call<|role_sep|>\n{"name": "now", "arguments": {}}',
        [Text("Look."), NOW],
    ),
    Recorded("Apertus", "<|tools_prefix|>", '<|tools_prefix|>[{"now": {}}, {"now": {}}]<|tools_suffix|>', [NOW, NOW]),
    Recorded("Functionary 3.1", "<function=", '<function=get_weather>{"location": "Paris"}</function>', [_paris()]),
    Recorded(
        "Functionary 3.2",
        FUNCTIONARY,
        'all\nI look >>> there.>>>get_weather\n{"location": "Paris"}>>>now\n{}',
        [Text("I look >>> there."), _paris(), NOW],
        "assistant\n\n>>>",
    ),
    Recorded(
        "Functionary 3.2, a call first", FUNCTIONARY, "now\n{}>>>all\nDone", [NOW, Text("Done")], "assistant\n\n>>>"
    ),
    Recorded(
        "Functionary 3.2, cut behind an inner bracket",
        FUNCTIONARY,
        'now\n{}>>>get_weather\n{"days": [1]',
        [NOW, Text('>>>get_weather\n{"days": [1]')],
        "assistant\n\n>>>",
    ),
    Recorded("Functionary 3.2, no tools", FUNCTIONARY, "all\nHi >>> x", [Text("Hi >>> x")], ">>>", {}),
    Recorded(
        "Kimi K3",
        K3,
        "Hm<|close|>think<|sep|><|open|>response<|sep|>I look.<|close|>response<|sep|><|open|>tools<|sep|><|open|>call "
        'tool="get_weather" index="1"<|sep|><|open|>argument key="location" type="string"<|sep|>Paris'
        "<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|><|close|>message<|sep|>",
        [Thought("Hm"), Text("I look."), _paris()],
        "<|open|>message<|sep|><|open|>think<|sep|>",
    ),
    Recorded(
        "Solar Open",
        SOLAR,
        "<|think|>Hm<|end|><|begin|>assistant<|content|>I look.<|end|><|begin|>assistant<|tool_calls|>"
        '<|tool_call:begin|>a1<|tool_call:name|>get_weather<|tool_call:args|>{"location": "Paris"}<|tool_call:end|>'
        "<|calls|>",
        [Thought("Hm"), Text("I look."), _paris()],
    ),
    Recorded("Olmo 3", "<function_calls>", "<function_calls>now()\nnow()</function_calls>", [NOW, NOW]),
]
