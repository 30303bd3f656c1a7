"""The gRPC face of the Open Inference Protocol; `scripts/generate_proto.py` writes the code here."""
