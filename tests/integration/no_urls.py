"""The URLs of a host that has not mounted the app."""

urlpatterns: list[object] = []
