"""Tables as text and as Markdown."""

from swell.bench.tables import Section, as_markdown, as_text

WASTE = Section(
    title="Waste",
    header=("slots", "reserved", "eager"),
    rows=(("1 x 512", "1.00", "16.00*"), ("8 x 1024", "1.01", "-")),
    note="* derived",
)
EMPTY = Section(title="Nothing", header=("slots", "eager"), rows=())


def test_text_is_aligned() -> None:
    assert as_text([WASTE, EMPTY]) == (
        "Waste\n"
        "\n"
        "slots     reserved   eager\n"
        "1 x 512       1.00  16.00*\n"
        "8 x 1024      1.01       -\n"
        "\n"
        "* derived\n"
        "\n"
        "Nothing\n"
        "\n"
        "slots  eager\n"
    )


def test_markdown() -> None:
    assert as_markdown([WASTE]) == (
        "## Waste\n"
        "\n"
        "| slots | reserved | eager |\n"
        "| --- | ---: | ---: |\n"
        "| 1 x 512 | 1.00 | 16.00* |\n"
        "| 8 x 1024 | 1.01 | - |\n"
        "\n"
        "* derived\n"
    )
