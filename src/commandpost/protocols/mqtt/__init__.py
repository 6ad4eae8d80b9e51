"""A sans-IO MQTT engine for both sides of a connection (OASIS MQTT 3.1.1 and MQTT 5.0).

`server_connection.MqttServerConnection` and `client_connection.MqttClientConnection` tie the parts together; `codec`
turns bytes into the records of `packets` and back; `session.MqttSession` is what outlives a connection. Who may log
in, what a topic means and which message goes to whom is the owner's matter.
"""
