"""HTTP push to the user's servers: who is told (subscriptions), and the telling (deliveries)."""
