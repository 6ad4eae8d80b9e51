"""A sans-IO CoAP engine for both sides of a conversation (RFC 7252, 7641, 7959).

`endpoint.CoapEndpoint` ties the parts together; `codec` turns bytes into `message.CoapMessage` and back. What the
messages mean to LwM2M lives in `protocols.lwm2m`.
"""
