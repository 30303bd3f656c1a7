"""The online inference server: released models over REST and gRPC, watched, switched and drained by itself."""
