"""A sans-IO engine for EDP 1.6, OneNET's own protocol over TCP, for both sides of a conversation.

`connection.EdpServerConnection` is the platform's side, `client_connection.EdpClientConnection` a simulated device's;
`framing` and `codec` turn bytes into the records of `messages` and back. What devices report is read by
`protocols.data_report`. Source: southbound reference 6.
"""
