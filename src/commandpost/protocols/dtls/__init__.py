"""A sans-IO DTLS 1.2 engine for pre-shared keys, with Connection ID (RFC 6347, 4279, 9146).

`server.DtlsServer` serves any number of associations of one listener; `client.DtlsClient` is one device's side, for
simulated devices and tests. The primitives are those of `cryptography`. Certificates, renegotiation, session
resumption and DTLS 1.3 do not live here.
"""
