"""Sites of several kinds that the app lives in; `checks` are the tests each of them runs."""
