"""Files in the Hadoop Distributed File System: by its own protocol (RPC), or over HTTP (WebHDFS)."""
