"""Who may see and do what: roles, the devices of people, codes that let in, athletes' releases, the audit log."""
