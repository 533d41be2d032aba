"""Stores the dump in /archive in an object store, reads it back, deletes what is beyond KEEP, and leaves a record.

The checksum is stored last: a dump without one is not complete, and does not count.
"""
import hashlib
import json
import os
import sys
from pathlib import Path

from barman.clients.cloud_cli import UrlArgumentType, create_argument_parser
from barman.cloud_providers import get_cloud_interface

CHECKSUM = ".sha256"


def digest(stream):
    value = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        value.update(chunk)
    return value.hexdigest()


def moment(key):
    """The time in a name such as 20261201T030002Z.dump, as Kubernetes writes it."""
    t = key.rsplit("/", 1)[-1]
    return f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[9:11]}:{t[11:13]}:{t[13:15]}Z"


def store(cloud, folder, dump):
    key = f"{folder}/{dump.name}"
    checksum = dump.with_name(dump.name + CHECKSUM)
    with dump.open("rb") as content:
        cloud.upload_fileobj(content, key)
    if digest(cloud.remote_open(key)) != checksum.read_text().split()[0]:
        raise RuntimeError(f"{key} is not what was stored")
    with checksum.open("rb") as content:
        cloud.upload_fileobj(content, key + CHECKSUM)


def prune(cloud, folder, keep):
    """Deletes the oldest dumps beyond those to keep; returns the names of those that stay, the oldest first."""
    keys = set(cloud.list_bucket(folder + "/"))
    complete = sorted(k for k in keys if k.endswith(".dump") and k + CHECKSUM in keys)
    beyond, kept = complete[:-keep], complete[-keep:]
    if beyond:
        cloud.delete_objects([name for key in beyond for name in (key + CHECKSUM, key)])
    return kept


def main():
    parser, _, _ = create_argument_parser("store a dump", UrlArgumentType.destination)
    config = parser.parse_args(sys.argv[1:])
    cloud = get_cloud_interface(config)
    folder = "/".join(part for part in (cloud.path, config.server_name) if part)
    dump = next(Path("/archive").glob("*.dump"))
    store(cloud, folder, dump)
    kept = prune(cloud, folder, int(os.environ["KEEP"]))
    return {
        "count": len(kept),
        "oldest": moment(kept[0]),
        "newest": moment(kept[-1]),
        "newestBytes": dump.stat().st_size,
    }


def leave(text):
    Path("/dev/termination-log").write_text(text[:2000])


try:
    leave(json.dumps(main()))
except BaseException as error:
    leave(f"{type(error).__name__}: {error}")
    raise
