from swell.cli.tables import section, table


def test_list_table_is_byte_exact() -> None:
    rows = [("model1", "sha256:abc12", "1.0 KB", "24 hours ago")]
    assert table(("NAME", "ID", "SIZE", "MODIFIED"), rows) == (
        "NAME      ID              SIZE      MODIFIED     \n"
        "model1    sha256:abc12    1.0 KB    24 hours ago    \n"
    )  # fmt: skip


def test_ps_table_is_byte_exact() -> None:
    header = ("NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")
    rows = [("llama3.2:latest", "a80c4f17acd5", "3.4 GB", "100% GPU", "4096", "4 minutes from now")]
    assert table(header, rows) == (
        "NAME               ID              SIZE      PROCESSOR    CONTEXT    UNTIL              \n"
        "llama3.2:latest    a80c4f17acd5    3.4 GB    100% GPU     4096       4 minutes from now    \n"
    )


def test_table_without_rows_is_its_header() -> None:
    assert table(("NAME", "ID"), []) == "NAME    ID \n"


def test_wide_characters_count_twice() -> None:
    assert table(("N", "S"), [("模型", "1"), ("abcd", "2")]) == "N       S \n模型    1    \nabcd    2    \n"


def test_section_is_byte_exact() -> None:
    rows = [
        ("architecture", "llama"),
        ("parameters", "3.2B"),
        ("context length", "131072"),
        ("embedding length", "3072"),
        ("quantization", "Q4_K_M"),
    ]
    assert section("Model", rows) + section("Capabilities", [("completion",), ("tools",)]) == (
        "  Model\n"
        "    architecture        llama     \n"
        "    parameters          3.2B      \n"
        "    context length      131072    \n"
        "    embedding length    3072      \n"
        "    quantization        Q4_K_M    \n"
        "\n"
        "  Capabilities\n"
        "    completion    \n"
        "    tools         \n"
        "\n"
    )


def test_long_cells_wrap_at_blanks() -> None:
    text = section("Parameters", [("stop", "one two three four five six seven"), ("x" * 40, "1")])
    assert text.splitlines() == [
        "  Parameters",
        "    stop" + " " * 36 + "    one two three four five six    ",
        "    " + " " * 40 + "    seven                          ",
        "    " + "x" * 40 + "    1                              ",
        "",
    ]
