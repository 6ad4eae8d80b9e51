"""MQTT devices over TCP and TLS: connections, and messages between the devices of a product."""
