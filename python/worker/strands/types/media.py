"""Pictures, documents and videos in the content of a result."""

from typing import Any, Literal, TypedDict

ImageFormat = Literal["png", "jpeg", "gif", "webp"]
DocumentFormat = Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"]
VideoFormat = Literal["flv", "mkv", "mov", "mpeg", "mpg", "mp4", "three_gp", "webm", "wmv"]


class Location(TypedDict, total=False):
    """Where the bytes are: {"type": "s3", "uri": "s3://bucket/key"}."""

    type: str
    uri: str
    bucketOwner: str


class Source(TypedDict, total=False):
    """Either the bytes or where they are."""

    bytes: bytes
    location: Location


ImageSource = DocumentSource = VideoSource = Source


class ImageContent(TypedDict):
    """A picture."""

    format: ImageFormat
    source: Source


class VideoContent(TypedDict):
    """A video."""

    format: VideoFormat
    source: Source


class DocumentContent(TypedDict, total=False):
    """A document."""

    format: DocumentFormat
    name: str
    source: Source
    context: str
    citations: Any
