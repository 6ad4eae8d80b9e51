"""`commandpost demo`: the main job in a minute, with a real server and simulated devices."""
