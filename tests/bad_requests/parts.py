"""Wrong parts: types, base64, MIME types against content, uploads that are not there."""

from __future__ import annotations

from tests.bad_requests.shapes import (
    HEIC_TEXT,
    MP4_TEXT,
    PNG_TEXT,
    PROMPT,
    UNKNOWN_ID,
    BadRequest,
    image,
    message,
    part,
)

PART = "messages[0].content[1]"

PARTS = [
    BadRequest(
        "part-text", message(role="user", content=[PROMPT]), "messages[0].content[0]", "an object"
    ),
    BadRequest("part-untyped", part(text=PROMPT), f"{PART}.type", "Is required"),
    BadRequest("part-audio", part(type="audio", data="AAAA"), f"{PART}.type", "no sound"),
    BadRequest("part-openai", part(type="image_url"), f"{PART}.type", "no URLs"),
    BadRequest("part-type-list", part(type=["image"]), f"{PART}.type", "not a list"),
    BadRequest("part-textless", part(type="text"), f"{PART}.text", "not null"),
    BadRequest("part-text-number", part(type="text", text=1), f"{PART}.text", "not a number"),
    BadRequest(
        "part-text-with-data",
        part(type="text", text="", data="AAAA"),
        f"{PART}.data",
        "Unknown field",
    ),
    BadRequest("image-url", image(url="https://a.b/c.png"), f"{PART}.url", "no URLs"),
    BadRequest("image-inline", image(inline_data={}), f"{PART}.inline_data", "part itself"),
    BadRequest("image-camel-case", image(mimeType="image/png"), f"{PART}.mimeType", "mime_type?"),
    BadRequest("image-without-data", image(data=None), f"{PART}.data", "Is required"),
    BadRequest("image-without-mime", image(mime_type=None), f"{PART}.mime_type", "Is required"),
    BadRequest("image-mime-number", image(mime_type=1), f"{PART}.mime_type", "not a number"),
    BadRequest("image-mime-bmp", image(mime_type="image/bmp"), f"{PART}.mime_type", "one of"),
    BadRequest("image-mime-svg", image(mime_type="image/svg+xml"), f"{PART}.mime_type", "one of"),
    BadRequest(
        "image-mime-video", image(mime_type="video/mp4"), f"{PART}.mime_type", "one of image/jpeg"
    ),
    BadRequest(
        "image-mime-disagrees",
        image(mime_type="image/jpeg"),
        f"{PART}.mime_type",
        "Is image/jpeg, but the content is image/png",
    ),
    BadRequest(
        "image-of-video", image(data=MP4_TEXT), f"{PART}.mime_type", "the content is video/mp4"
    ),
    BadRequest("image-of-text", image(data="aGVsbG8gdGhlcmU="), f"{PART}.data", "first bytes"),
    BadRequest("image-empty", image(data=""), f"{PART}.data", "Is empty"),
    BadRequest("image-of-spaces", image(data=" \n "), f"{PART}.data", "Is empty"),
    BadRequest("image-number", image(data=5), f"{PART}.data", "Must be base64"),
    BadRequest("image-list", image(data=[137, 80]), f"{PART}.data", "Must be base64"),
    BadRequest("image-not-base64", image(data="!!!!"), f"{PART}.data", "Is not base64"),
    BadRequest("image-path", image(data="/etc/image.png"), f"{PART}.data", "pathlib.Path"),
    BadRequest("image-url-safe", image(data="iVBO_w0K"), f"{PART}.data", "use + and /"),
    BadRequest(
        "image-data-url-of-a-site", image(data="https://a.b/c"), f"{PART}.data", "an address"
    ),
    BadRequest("image-not-ascii", image(data="iVBÖ"), f"{PART}.data", "outside ASCII"),
    BadRequest("image-surrogate", image(data="iVB\ud800"), f"{PART}.data", "outside ASCII"),
    BadRequest("image-cut", image(data=PNG_TEXT[:-3]), f"{PART}.data", "it was cut"),
    BadRequest("image-padding-first", image(data="=AAA"), f"{PART}.data", "Is not base64"),
    BadRequest("image-padding-inside", image(data="iVBORw==AAAA"), f"{PART}.data", "Is not base"),
    BadRequest(
        "image-url-disagrees",
        image(data=f"data:image/gif;base64,{PNG_TEXT}"),
        f"{PART}.mime_type",
        "data: URL",
    ),
    BadRequest(
        "image-url-not-base64", image(data="data:image/png,%89PNG"), f"{PART}.data", "data:<mime"
    ),
    BadRequest(
        "image-digest-beside-data", image(sha256="0" * 64), f"{PART}.sha256", "Unknown field"
    ),
    BadRequest("image-twice", image(media=UNKNOWN_ID), f"{PART}.data", "one of the two"),
    BadRequest("media-not-an-id", image(data=None, media="7"), f"{PART}.media", "a UUID"),
    BadRequest("media-number", image(data=None, media=7), f"{PART}.media", "a UUID"),
    BadRequest(
        "video-of-image",
        image(type="video", mime_type="video/mp4"),
        f"{PART}.mime_type",
        "but the content is",
    ),
    BadRequest(
        "video-of-heic",
        image(type="video", mime_type="video/mp4", data=HEIC_TEXT),
        f"{PART}.data",
        "first bytes",
    ),
    BadRequest(
        "video-of-matroska",
        image(type="video", mime_type="video/x-matroska"),
        f"{PART}.mime_type",
        "one of video/mp4",
    ),
]

REFERENCES = [
    BadRequest(
        "media-unknown", image(data=None, media=UNKNOWN_ID), f"{PART}.media", "of the same owner"
    ),
    BadRequest(
        "media-unknown-with-digest",
        image(data=None, media=UNKNOWN_ID, sha256="0" * 64),
        f"{PART}.media",
        "of the same owner",
    ),
]
