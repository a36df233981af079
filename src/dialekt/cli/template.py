"""dialekt.toml with every setting, its meaning and its default, generated from the configuration's own fields."""

from collections.abc import Mapping

HEADER = """\
# A dialekt project. Every setting is here with its default, commented out; `unset` means that dialekt derives the value
# and says what it chose and why. Paths are relative to this file.
"""


def render(chosen: Mapping[str, object]) -> str:
    """Return the text of a dialekt.toml in which the chosen settings (`section.key` → value) are active."""
    from dialekt.config import Config, Section
    from dialekt.config.writing import section_lines

    parts = [HEADER]
    for section, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Section)
        own = {key: chosen.get(f"{section}.{key}") for key in field.annotation.model_fields}
        parts.append("\n".join(section_lines(section, field.annotation, own)) + "\n")
    return "\n".join(parts)
