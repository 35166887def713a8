"""The Python client of the REST API."""

from actinium.client.client import Client as Client
