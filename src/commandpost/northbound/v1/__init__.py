"""The native interface, `/v1`: real HTTP statuses, problem documents, our own names. It does not go through onenet/."""
