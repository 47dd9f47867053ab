"""What is sent although this app does not know it: fields that the remote has added since. Pure.

Invariant: an extra field never replaces one that this app checks or sets, however it is spelled:
`maxOutputTokens` must not pass the limit of `max_output_tokens` should the remote read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from creatify_textgen.conf import conf
from creatify_textgen.intake.reading import Reader
from creatify_textgen.remote.contract import CONFIG

__all__ = ["known_config", "may_pass", "read_extra"]

ARGUMENTS = ("model_name", "messages", "system_instruction", "tools", "tool_config", "sync")
# A URL of the caller would receive the result in place of this site, and without a token.
SET_HERE = "webhook_url"


def may_pass() -> bool:
    """Whether REST bodies and `config` may have fields that this app does not know."""
    return conf.extra_config == "pass"


def known_config(config: Any) -> Any:
    """Return the config without the keys that `read_extra` takes."""
    if not may_pass() or not isinstance(config, Mapping):
        return config
    return {key: value for key, value in config.items() if key in CONFIG}


def read_extra(value: Any, *, config: Any, reader: Reader) -> dict[str, Any]:
    """Return the checked extra fields, such as `{"config": {"thinking_config": {…}}}`.

    With the setting `EXTRA_CONFIG` on "pass", unknown keys of `config` are among them. Problems are
    noted in `reader`, by path.
    """
    extra = {} if value is None else reader.object_tree(value, path="extra")
    _refuse_known(extra, ARGUMENTS, path="extra", rule="Pass it as the argument {}.", reader=reader)
    _refuse_known(extra, [SET_HERE], path="extra", rule="The site sets it.", reader=reader)
    given, others = extra.get("config", {}), extra.keys() - {"config"}
    _refuse_known(others, ["config"], path="extra", rule="Pass it as {}.", reader=reader)
    if not isinstance(given, dict):
        reader.refuse("extra.config", "Must be an object.")
        return {}
    unknown = _unknown_config(config, reader=reader)
    for path, names in (("extra.config", given), ("config", unknown)):
        _refuse_known(names, CONFIG, path=path, rule="Pass it as config.{}.", reader=reader)
    # The explicit argument wins over an unknown key of `config`.
    unknown |= given
    return {**extra, "config": unknown} if unknown else extra


def _refuse_known(
    given: Iterable[str], known: Iterable[str], *, path: str, rule: str, reader: Reader
) -> None:
    names = {_plain(name): name for name in known}
    for name in given:
        if (own := names.get(_plain(name))) is not None:
            reader.refuse(f"{path}.{name}", rule.format(own))


def _plain(name: Any) -> str:
    # Google's parsers accept `max_output_tokens` and `maxOutputTokens` (ProtoJSON, "field names").
    return str(name).replace("_", "").replace("-", "").casefold()


def _unknown_config(config: Any, *, reader: Reader) -> dict[str, Any]:
    if not may_pass() or not isinstance(config, Mapping):
        return {}
    unknown = {key: value for key, value in config.items() if key not in CONFIG}
    return reader.object_tree(unknown, path="config") if unknown else {}
