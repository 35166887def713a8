"""How the command line speaks: tables, sentences, progress and JSON; the commands themselves are `actinium.cli`."""
