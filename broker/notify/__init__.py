"""The notifier: follows the changes of entities and tells subscribers about them, at least once and in order."""
