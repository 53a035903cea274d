"""A client for the HTTP API: `pip install 'mien[client]'`.

    from mien.client import Client

    client = Client("aio_…", base_url="https://swap.example.com")
    client.face_swap("group.jpg", "anna.jpg").wait().save("out.png")

`AsyncClient` is the same for asyncio. Nothing of the service or the engine is imported.
"""

from mien.client.answers import (
    AccountInfo,
    DetectedFace,
    Faces,
    Output,
    TaskInfo,
    TaskPage,
    Unreachable,
    Upload,
    WaitedTooLong,
)
from mien.client.clients import AsyncClient, AsyncTask, Client, Task
from mien.client.flows import Swap

__all__ = [
    "AccountInfo",
    "AsyncClient",
    "AsyncTask",
    "Client",
    "DetectedFace",
    "Faces",
    "Output",
    "Swap",
    "Task",
    "TaskInfo",
    "TaskPage",
    "Unreachable",
    "Upload",
    "WaitedTooLong",
]
