-- Whose an address is: a Send of LwM2M names no device, and the server may have been restarted since it was heard.
-- Conventions are those of 0001.

CREATE INDEX session_by_remote ON session (remote)
    WHERE is_online = 1 AND transport = 'lwm2m' AND remote IS NOT NULL;
