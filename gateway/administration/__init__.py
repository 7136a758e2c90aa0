"""What an administrator types: access of people, releases of athletes, certificates."""
