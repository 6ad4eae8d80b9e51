"""LwM2M as OneNET devices and generic clients speak it: payload formats, operations and registrations, sans-IO."""
