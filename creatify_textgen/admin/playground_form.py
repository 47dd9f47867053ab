"""The form of the playground: its fields, and how a generation fills them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from creatify_textgen import services
from creatify_textgen.admin.rendering import named, show_control_chars
from creatify_textgen.conf import conf
from creatify_textgen.models import Generation, Media

__all__ = ["PlaygroundForm", "initial_from"]

NUMBERS = ("temperature", "top_p", "max_output_tokens")
"""The settings that have their own field; the others are written as JSON."""
SCHEMA, MIME_TYPE = "response_json_schema", "response_mime_type"
JSON_ROWS = 4

Messages = list[Any]


class JSONText(forms.JSONField):
    """JSON of one type. Text that is not such JSON stays as it was typed."""

    def __init__(self, kind: type, **options: Any) -> None:
        attrs = {"class": "vLargeTextField textgen-code", "rows": JSON_ROWS, "dir": "ltr"}
        widget = forms.Textarea(attrs={**attrs, "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **options)
        self.kind = kind

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except (RecursionError, ValueError) as error:
            # Very deep, or a number of thousands of digits.
            raise ValidationError(_("This JSON cannot be read.")) from error
        if found is not None and not isinstance(found, self.kind):
            example = "[…]" if self.kind is list else "{…}"
            raise ValidationError(_("Must have the form %s.") % example)
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        # Django's field parses again here, and does not catch what `to_python` catches.
        return data

    def prepare_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        # Django's field writes one line.
        return json.dumps(value, indent=2, ensure_ascii=False)


class ManyFilesInput(forms.FileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    widget = ManyFilesInput

    # As in Django's documentation, "Uploading multiple files".
    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        return [super(ManyFilesField, self).clean(one, initial) for one in data or ()]


def _text(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"class": "vLargeTextField", "rows": rows, "dir": "auto"})


class PlaygroundForm(forms.Form):
    """A request. The services check it; the form knows only its parts."""

    prompt = forms.CharField(label=gettext_lazy("Prompt"), required=False, widget=_text(6))
    uploads = ManyFilesField(label=gettext_lazy("Images and videos"), required=False)
    kept_media = forms.MultipleChoiceField(
        label=gettext_lazy("From the generation"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    model_name = forms.ChoiceField(label=gettext_lazy("Model"))
    compare_with = forms.ChoiceField(label=gettext_lazy("Compare with"), required=False)
    account = forms.ChoiceField(label=gettext_lazy("Account"))
    system_instruction = forms.CharField(
        label=gettext_lazy("System text"), required=False, widget=_text(2)
    )
    temperature = forms.FloatField(label=gettext_lazy("Temperature"), required=False)
    top_p = forms.FloatField(label=gettext_lazy("Top P"), required=False)
    max_output_tokens = forms.IntegerField(
        label=gettext_lazy("Output tokens at most"), required=False
    )
    config = JSONText(
        dict,
        label=gettext_lazy("Other settings"),
        help_text='{"top_k": 40, "seed": 7, "stop_sequences": ["END"]}',
    )
    schema = JSONText(
        dict,
        label=gettext_lazy("Schema of the answer"),
        help_text='{"type": "object", "properties": {"title": {"type": "string"}}}',
    )
    tools = JSONText(
        list,
        label=gettext_lazy("Tools"),
        help_text='[{"function_declarations": [{"name": "get_weather", "description": "…"}]}]',
    )
    tool_config = JSONText(
        dict,
        label=gettext_lazy("Use of the tools"),
        help_text='{"function_calling_config": {"mode": "AUTO"}}',
    )
    earlier = JSONText(
        list,
        label=gettext_lazy("Earlier messages"),
        help_text='[{"role": "user", "content": "Hi"}, {"role": "model", "content": "Hello!"}]',
    )
    ticket = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, origin: Generation | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        models = named(self.known_models(origin))
        fields["model_name"].choices = models
        fields["compare_with"].choices = [("", _("no other model")), *models]
        fields["account"].choices = named(conf.accounts)
        kept = list(_media_of(origin)) if origin else []
        fields["kept_media"].choices = [(str(one.pk), _describe(one)) for one in kept]
        # A field without choices would be an empty line of the form.
        if not kept:
            del fields["kept_media"]
        if len(conf.accounts) < 2:
            fields["account"].widget = forms.HiddenInput()

    @staticmethod
    def known_models(origin: Generation | None = None) -> list[str]:
        """Return the models of the settings, and that of the generation to edit."""
        names = [facts.name for facts in services.known_models()]
        return list(dict.fromkeys([*names, *([origin.model_name] if origin else [])]))

    @property
    def main_fields(self) -> Iterator[forms.BoundField]:
        names = ("prompt", "uploads", "kept_media", "model_name", "compare_with", "account")
        return (self[name] for name in names if name in self.fields and not self[name].is_hidden)

    @property
    def more_fields(self) -> Iterator[forms.BoundField]:
        names = ("system_instruction", *NUMBERS, "config", "schema", "tools", "tool_config")
        return (self[name] for name in (*names, "earlier"))

    @property
    def has_more(self) -> bool:
        """Whether one of the fields that are folded away has a value or an error."""
        return any(field.value() or field.errors for field in self.more_fields)

    def media_choices(self) -> list[str]:
        """Return the ids of the media that may be kept, in the order of the original request."""
        kept: Any = self.fields.get("kept_media")
        return [key for key, _ in kept.choices] if kept else []

    def models(self) -> list[str]:
        """Return the models to ask, one or two."""
        # The same model twice is two requests: a person may compare two answers of one model.
        chosen = (self.cleaned_data["model_name"], self.cleaned_data["compare_with"])
        return [name for name in chosen if name]

    def request(self, media: Iterable[Media]) -> dict[str, Any]:
        """Return the arguments of `services.submit`, but for the model."""
        cleaned = self.cleaned_data
        numbers = {name: cleaned[name] for name in NUMBERS if cleaned[name] is not None}
        return {
            "messages": [*(cleaned["earlier"] or ()), *self._last_message(media)],
            "config": {**(cleaned["config"] or {}), **numbers},
            **{name: cleaned[name] for name in ("tools", "tool_config", "schema")},
            **{name: cleaned[name] for name in ("system_instruction", "account")},
        }

    def _last_message(self, media: Iterable[Media]) -> Messages:
        prompt = self.cleaned_data["prompt"]
        parts: Messages = [{"type": one.kind, "media": str(one.pk)} for one in media]
        if parts and prompt:
            parts.append({"type": "text", "text": prompt})
        content = parts or prompt
        return [{"role": "user", "content": content}] if content else []

    def add_errors(self, errors: Mapping[str, Iterable[str]]) -> None:
        """Show what a service refused beside the field that it is about."""
        for path, rules in errors.items():
            name = self._field_of(path)
            lines = [f"{path}: {rule}" if path else rule for rule in rules]
            shown = [show_control_chars(line) for line in lines]
            self.add_error(name if name in self.fields else None, shown)

    def _field_of(self, path: str) -> str:
        # Paths as `RequestError.errors` has them: "config.temperature", "messages[2].content".
        first, _, rest = path.partition(".")
        if first == "config":
            key = rest.partition(".")[0].partition("[")[0]
            return key if key in NUMBERS else "schema" if key == SCHEMA else "config"
        if first.startswith("messages"):
            place = first.removeprefix("messages[").removesuffix("]")
            # The prompt is the last message, after the earlier ones.
            earlier = len(self.cleaned_data.get("earlier") or ())
            return "earlier" if place.isdecimal() and int(place) < earlier else "prompt"
        return "uploads" if first in ("file", "mime_type", "kind") else first.partition("[")[0]


def initial_from(generation: Generation) -> dict[str, Any]:
    """Return the form's values with which it would send the request of this generation."""
    request = generation.content.request_fields()
    config = dict(request["config"])
    schema = config.pop(SCHEMA, None)
    if schema is not None:
        # The schema sets it again (contract, section 3.2).
        config.pop(MIME_TYPE, None)
    earlier, prompt, kept = _split(request["messages"])
    return {
        "prompt": prompt,
        "kept_media": kept,
        "earlier": [_plain(message) for message in earlier] or None,
        "model_name": generation.model_name,
        "account": generation.account,
        "system_instruction": request["system_instruction"],
        **{name: config.pop(name, None) for name in NUMBERS},
        "config": config or None,
        "schema": schema,
        "tools": request["tools"] or None,
        "tool_config": request["tool_config"] or None,
    }


def _split(messages: Messages) -> tuple[Messages, str, list[str]]:
    """Return the earlier messages, and the text and the media of the user's last one.

    A last message that the form cannot show as media with one text below is an earlier one, too.
    """
    # A stored request may be an imported one, of any shape.
    last = messages[-1] if messages and isinstance(messages[-1], dict) else {}
    content = last.get("content") if last.get("role") == "user" else None
    if isinstance(content, str):
        return messages[:-1], content, []
    parts = content if isinstance(content, list) else []
    *media, end = parts or [None]
    if not isinstance(end, dict) or not all(isinstance(p, dict) and "media" in p for p in media):
        return messages, "", []
    if end.get("type") != "text":
        media, end = parts, {"text": ""}
    kept = [str(part.get("media")) for part in media]
    if len(set(kept)) < len(kept):
        return messages, "", []  # A file is chosen once or not at all.
    return messages[:-1], end.get("text", ""), kept


def _plain(message: Any) -> Any:
    """Return a stored message without the hashes of its files, which are internal."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    parts = [
        {key: value for key, value in part.items() if key != "sha256"}
        if isinstance(part, dict)
        else part
        for part in message["content"]
    ]
    return {**message, "content": parts}


def _media_of(generation: Generation) -> Iterator[Media]:
    """Return the media of the user's last message that are still stored."""
    kept = _split(generation.content.messages)[2]
    found = {str(one.pk): one for one in generation.media.filter(discarded_at=None)}
    return (found[key] for key in dict.fromkeys(kept) if key in found)


def _describe(media: Media) -> str:
    return f"{show_control_chars(media.mime_type)} ({filesizeformat(media.size)})"
