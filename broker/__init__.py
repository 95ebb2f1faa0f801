"""The context broker: API, storage, subscriptions, and the commands that run them."""
