"""Sites with packages that few sites have. `.ci/hosts` installs these and runs the tests."""
