"""Huawei Cloud's OBS and everything that speaks S3: who is asked, how, and what the answers mean.

Bulk goes through obstore, which verifies certificates, holds few bytes and runs outside Python's lock. Huawei's own SDK
is asked for what only OBS has: credentials of a cloud server or pod, and listings by marker.
"""
